package admission

import (
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestPlacesForRequestsThatGaveUp: more places are given to nobody while all that
// waited have given up.
func TestPlacesForRequestsThatGaveUp(t *testing.T) {
	none := directory.Limits{}
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 1, time.Millisecond })
	held := mustEnter(t, l, caller("a", "a", none, none), noon)
	for _, tenant := range []string{"b", "c"} {
		if why := call(l, caller(tenant, tenant, none, none), 0, noon); why == nil || why.Limit != RequestsInFlight {
			t.Fatalf("%s: %+v", tenant, why)
		}
	}
	s := l.Settings()
	s.MaxInFlight = 3
	l.Apply(s)
	if l.InFlight() != 1 {
		t.Errorf("%d requests have a place, want 1", l.InFlight())
	}
	held.Leave(0, noon)
	mustEnter(t, l, caller("b", "b", none, none), noon)
	if l.InFlight() != 1 {
		t.Errorf("in the end %d requests have a place, want 1", l.InFlight())
	}
}
