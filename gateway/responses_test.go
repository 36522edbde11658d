package gateway

import (
	"strconv"
	"testing"
)

// TestResponsesAreBounded: the newest of a tenant are remembered, and one tenant
// forgets nobody else's.
func TestResponsesAreBounded(t *testing.T) {
	var o responses
	id := func(i int) []byte { return []byte("resp_" + strconv.Itoa(i)) }
	o.note("quiet", "t", "openai", id(0))
	for i := range 3 * responsesPerTenant {
		o.note("loud", "t", "openai", id(i))
	}
	o.note("loud", "t", "openai", nil)
	for i := range 3 * responsesPerTenant {
		if got, want := o.begun("loud", "t", "openai", id(i)), i >= 2*responsesPerTenant; got != want {
			t.Fatalf("response %d is remembered: %v", i, got)
		}
	}
	if len(o.rings["loud"].hashes) != responsesPerTenant || !o.begun("quiet", "t", "openai", id(0)) {
		t.Error("the loud tenant has taken more than its own")
	}
	last := id(3*responsesPerTenant - 1)
	if o.begun("loud", "other", "openai", last) || o.begun("loud", "t", "groq", last) || o.begun("quiet", "t", "openai", last) || o.begun("nobody", "t", "openai", last) || o.begun("loud", "t", "openai", nil) {
		t.Error("a response is somebody else's")
	}
	for i := range responseTenants + 5 {
		o.note("tenant-"+strconv.Itoa(i), "t", "openai", id(0))
	}
	if len(o.rings) != responseTenants || o.begun("quiet", "t", "openai", id(0)) || !o.begun("tenant-"+strconv.Itoa(responseTenants), "t", "openai", id(0)) {
		t.Errorf("%d tenants are remembered", len(o.rings))
	}
}
