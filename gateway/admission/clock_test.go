package admission

import (
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter/spent"
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
			for served <= 10 && call(l, c, 0, now) == nil {
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
			for served <= 60 && call(l, tokens, 10, now) == nil {
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

// TestClocksThatAreWrongAtTheStart: a machine that starts in 1970, or in 2040, and is
// set right then, knows what was spent before.
func TestClocksThatAreWrongAtTheStart(t *testing.T) {
	today := spent.DayOf(noon)
	rows := []spent.Spent{
		{Tenant: "acme", Token: "a", Day: today, Tokens: 60}, {Tenant: "acme", Token: "a", Day: today - 1, Tokens: 5}, {Tenant: "acme", Token: "a", Day: today - 3, Tokens: 40},
	}
	for _, start := range []time.Time{time.Unix(0, 0), noon.AddDate(14, 0, 0), noon} {
		l := New(Options{Settings: Settings{MaxInFlight: 10}, UsableToken: func(string, time.Time) bool { return true }, UsableTenant: func(string) bool { return true }})
		defer l.Close()
		budget := directory.Limits{TokensPerDay: 1000, TokensPerMonth: 1000}
		c := caller("acme", "a", budget, budget)
		_ = call(l, c, 0, start)
		l.Restore(rows, start)
		if start != noon {
			if why := call(l, c, 900, start); why != nil { // is of another year
				t.Fatalf("%+v", why)
			}
		}
		for _, f := range []struct {
			at         time.Time
			day, month int64
		}{{noon, 60, 105}, {noon.Add(-24 * time.Hour), 5, 105}, {noon, 60, 105}} {
			p := mustEnter(t, l, c, f.at)
			for i, want := range []int64{f.day, f.month, f.day, f.month} {
				if s := p.Standings()[i]; 1000-s.Left != want {
					t.Errorf("begun at %s, at %s: %d spent of %s of a %s, want %d", start, f.at, 1000-s.Left, s.Limit, s.Scope, want)
				}
			}
			p.Leave(0, f.at)
		}
	}
}

// TestDebtsOfCenturies: a provider may report 2^36 tokens for one call. The wait for
// the rest of them is a long one, and not none.
func TestDebtsOfCenturies(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{TokensPerMinute: 1}, directory.Limits{})
	_ = call(l, c, 1<<36, noon)
	p := mustEnter(t, l, c, noon.Add(time.Hour))
	why := p.Reserve(1, false, noon.Add(time.Hour))
	if why == nil || why.After < 24*365*time.Hour {
		t.Errorf("2^36 tokens are owed at one a minute: %+v", why)
	}
	for _, s := range p.Standings() {
		if s.Reset < 24*365*time.Hour {
			t.Errorf("%+v", s)
		}
	}
}

// TestClocksThatWereAhead: minutes are counted on when a clock that was ahead is set
// right, and not all in one that does not end.
func TestClocksThatWereAhead(t *testing.T) {
	var v velocity
	bound := &Runaway{TokensPerMinute: 1000}
	v.add(300, noon.AddDate(1, 0, 0))
	for minute := range 10 {
		v.add(600, noon.Add(time.Duration(minute)*time.Minute))
		if n, is := v.tooFast(bound); is {
			t.Fatalf("after %d minutes of 600 tokens: %d in a minute", minute+1, n)
		}
	}
	v.add(500, noon.Add(9*time.Minute-lookInterval)) // a call that comes out of order
	if n, is := v.tooFast(bound); !is {
		t.Errorf("1,100 in a minute: %d", n)
	}
}
