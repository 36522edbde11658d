package admission

import (
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter/spent"
)

// TestTokensComeBackEvenlyWhileACallRuns: its end fills up what its time has brought,
// and no more.
func TestTokensComeBackEvenlyWhileACallRuns(t *testing.T) {
	l, later := newLimiter(t), noon.Add(time.Second)
	c := caller("acme", "a", directory.Limits{TokensPerMinute: 60}, directory.Limits{})
	p := mustEnter(t, l, c, noon)
	if why := p.Reserve(60, false, noon); why != nil {
		t.Fatal(why)
	}
	p.Leave(60, later)
	if why := call(l, c, 2, later); why == nil {
		t.Error("two tokens after a second of one a second")
	}
	if why := call(l, c, 1, later); why != nil {
		t.Errorf("one token after a second: %+v", why)
	}
}

// TestTodayIsReadBackBeforeLaterDays: rows of days that a clock was ahead by do not
// push out what was spent today.
func TestTodayIsReadBackBeforeLaterDays(t *testing.T) {
	l, today := newLimiter(t), spent.DayOf(noon)
	l.Restore([]spent.Spent{
		{Tenant: "acme", Token: "a", Day: today, Tokens: 1000}, {Tenant: "acme", Token: "a", Day: today + 5, Tokens: 1},
	}, noon)
	budget := directory.Limits{TokensPerDay: 1000}
	if why := call(l, caller("acme", "a", budget, directory.Limits{}), 1, noon); why == nil || why.Limit != TokensPerDay {
		t.Errorf("today's budget is spent: %+v", why)
	}
}
