package main

import (
	"testing"
	"time"
)

// TestWorkGrowsNoFasterThanItsStore: on stores eight times as large nothing takes
// more than 24 times as long; squares would take 64 times. One of three tries has
// to keep to it, as a machine may be busy in one of them.
func TestWorkGrowsNoFasterThanItsStore(t *testing.T) {
	const small, more, most, little = 90, 8, 24, 5 * time.Millisecond
	var slow map[string]time.Duration
	for range 3 {
		few, err := at(t.Context(), small)
		if err != nil {
			t.Fatal(err)
		}
		many, err := at(t.Context(), small*more)
		if err != nil {
			t.Fatal(err)
		}
		slow = map[string]time.Duration{}
		for i, f := range few {
			if took := many[i].took; took > most*max(f.took, little) {
				slow[f.what] = took
				t.Logf("%s: %v, then %v", f.what, f.took, took)
			}
		}
		if len(slow) == 0 {
			return
		}
	}
	t.Errorf("these grow faster than their store: %v", slow)
}
