package api

import "testing"

// TestExportsAtOnceAreBounded: a tenant has two places, all tenants together
// eight, and a place that was given back is free again.
func TestExportsAtOnceAreBounded(t *testing.T) {
	var e exports
	for _, tenant := range []string{"a", "b", "c", "d"} {
		for range 2 {
			if !e.begin(tenant) {
				t.Fatalf("%s finds no place", tenant)
			}
		}
		if e.begin(tenant) {
			t.Errorf("%s has a third place", tenant)
		}
	}
	if e.begin("e") {
		t.Error("there is a ninth place")
	}
	e.end("a")
	if !e.begin("e") {
		t.Error("a place that was given back is not free")
	}
	for tenant, n := range map[string]int{"a": 1, "b": 2, "c": 2, "d": 2, "e": 1} {
		for range n {
			e.end(tenant)
		}
	}
	if e.all != 0 || len(e.of) != 0 {
		t.Errorf("%d places and %d tenants are left", e.all, len(e.of))
	}
}
