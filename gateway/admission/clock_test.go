package admission

import (
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestCallsThatComeOutOfOrder: a call whose time is before that of the last one
// does not make the time between count twice.
func TestCallsThatComeOutOfOrder(t *testing.T) {
	rate := directory.Limits{RequestsPerSecond: 10}
	l := newLimiter(t)
	c := caller("acme", "a", rate, directory.Limits{})
	served := 0
	for range 100 {
		for _, now := range []time.Time{noon.Add(time.Second), noon} {
			for call(l, c, 0, now) == nil {
				served++
			}
		}
	}
	if served != 10 {
		t.Errorf("%d calls were served at one time and a second before, want 10", served)
	}
	tokens := caller("acme", "b", directory.Limits{TokensPerMinute: 600}, directory.Limits{})
	served = 0
	for range 100 {
		for _, now := range []time.Time{noon.Add(time.Second), noon} {
			for call(l, tokens, 10, now) == nil {
				served++
			}
		}
	}
	if served != 60 {
		t.Errorf("%d calls of 10 tokens were served, want 60", served)
	}
}

// TestClocksThatGoBack: what was spent on a day and in a month is still spent when
// a clock that was ahead is set right, or calls end out of order at midnight.
func TestClocksThatGoBack(t *testing.T) {
	eve := time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)
	for name, ahead := range map[string]time.Duration{"a second": time.Second, "half a year": 4000 * time.Hour} {
		for _, own := range []directory.Limits{{TokensPerDay: 100}, {TokensPerMonth: 100}} {
			l := newLimiter(t)
			c := caller("acme", "a", own, own)
			if why := call(l, c, 100, eve); why != nil {
				t.Fatal(why)
			}
			if why := call(l, c, 100, eve.Add(ahead)); why != nil {
				t.Fatalf("%s later: %+v", name, why)
			}
			for range 2 {
				if why := call(l, c, 100, eve); why == nil {
					t.Errorf("%s, %+v: the budget is there again when the clock goes back", name, own)
				}
				if why := call(l, c, 100, eve.Add(ahead)); why == nil {
					t.Errorf("%s, %+v: the budget is there again when the clock goes on", name, own)
				}
			}
		}
	}
}
