package admission

import (
	"math"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// minute is one that begins where the steps of a minute begin.
var minute = noon

// spendMinutes has a velocity spend sums, one a minute, at the minutes' beginnings,
// and gives the next minute's.
func spendMinutes(v *velocity, begin time.Time, sums ...int64) time.Time {
	for _, n := range sums {
		v.add(n, begin)
		begin = begin.Add(time.Minute)
	}
	v.move(begin)
	return begin
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*math.Max(1, math.Abs(b)) }

// TestUsualIsTheMeanOfAboutAnHour: of the minutes that were spent in, pauses left
// out; after an hour a new minute weighs a sixtieth.
func TestUsualIsTheMeanOfAboutAnHour(t *testing.T) {
	var v velocity
	spendMinutes(&v, minute, 600, 1200, 0, 0, 300)
	if v.minutes != 3 || !near(v.usual, 700) {
		t.Errorf("%d minutes, usually %g, want 3 and 700", v.minutes, v.usual)
	}
	v = velocity{}
	even := make([]int64, 100)
	for i := range even {
		even[i] = 1000
	}
	next := spendMinutes(&v, minute, even...)
	spendMinutes(&v, next, 7000)
	if v.minutes != 101 || !near(v.usual, 1100) {
		t.Errorf("%d minutes, usually %g, want 101 and 1100", v.minutes, v.usual)
	}
}

// TestLastMinuteIsSixtySeconds: tokens count for twelve steps of five seconds, and
// a long silence forgets them at once.
func TestLastMinuteIsSixtySeconds(t *testing.T) {
	var v velocity
	for i := range minuteSteps {
		v.add(1<<i, minute.Add(time.Duration(i)*lookInterval))
	}
	if v.sum() != 1<<minuteSteps-1 {
		t.Errorf("after a minute: %d", v.sum())
	}
	for i := range minuteSteps {
		v.move(minute.Add(time.Minute + time.Duration(i)*lookInterval))
		if want := int64(1<<minuteSteps - 1<<(i+1)); v.sum() != want {
			t.Errorf("%d steps later: %d, want %d", i+1, v.sum(), want)
		}
	}
	v.add(500, minute.Add(2*time.Minute))
	for _, silence := range []time.Duration{time.Minute, 2 * time.Minute, time.Hour} {
		w := v
		w.move(minute.Add(2*time.Minute + silence))
		if w.sum() != 0 || w.minutes != 2 {
			t.Errorf("after %s: %d tokens, %d minutes", silence, w.sum(), w.minutes)
		}
		w.add(3, minute.Add(2*time.Minute+silence))
		if w.sum() != 3 {
			t.Errorf("after %s: %d tokens, want the new ones", silence, w.sum())
		}
	}
	v.add(1, minute) // a clock that went back
	if v.sum() != 501 {
		t.Errorf("%d tokens", v.sum())
	}
}

// TestTooFastIsBeyondTheBound: the bound itself is not too fast, one token more is.
func TestTooFastIsBeyondTheBound(t *testing.T) {
	habit := func(minutes int, tokens int64) *velocity {
		v := &velocity{usual: 100, minutes: int64(minutes)}
		v.add(tokens, minute)
		return v
	}
	for _, f := range []struct {
		what    string
		r       Runaway
		minutes int
		tokens  int64
		want    bool
	}{
		{"no bound", Runaway{}, 99, 1 << 40, false},
		{"the absolute bound", Runaway{TokensPerMinute: 5000}, 0, 5000, false},
		{"beyond the absolute bound", Runaway{TokensPerMinute: 5000}, 0, 5001, true},
		{"ten times the usual", Runaway{Factor: 10}, usualAfter, 1000, false},
		{"beyond ten times the usual", Runaway{Factor: 10}, usualAfter, 1001, true},
		{"no habits yet", Runaway{Factor: 10}, usualAfter - 1, 1001, false},
		{"little", Runaway{Factor: 10, Least: 1001}, usualAfter, 1001, false},
		{"no longer little", Runaway{Factor: 10, Least: 1000}, usualAfter, 1001, true},
	} {
		if n, got := habit(f.minutes, f.tokens).tooFast(&f.r); got != f.want || n != f.tokens {
			t.Errorf("%s: %v with %d tokens", f.what, got, n)
		}
	}
}

// TestAlarmsPauseTenMinutes: a token that goes on too fast is reported again after
// the pause, and one that has stopped is not.
func TestAlarmsPauseTenMinutes(t *testing.T) {
	var seen []Spree
	l := newLimiter(t, func(o *Options) {
		o.Runaway = Runaway{TokensPerMinute: 1000, Alarm: func(s Spree) { seen = append(seen, s) }}
	})
	c := caller("acme", "a", directory.Limits{}, directory.Limits{})
	alarms := func(now time.Time) int {
		_ = call(l, c, 5000, now)
		l.look(now)
		return len(seen)
	}
	if alarms(noon) != 1 || seen[0] != (Spree{Tenant: "acme", Token: "a", TokensPerMinute: 5000, At: noon}) {
		t.Fatalf("%+v", seen)
	}
	if n := alarms(noon.Add(alarmPause - time.Second)); n != 1 {
		t.Errorf("within the pause: %d", n)
	}
	if n := alarms(noon.Add(alarmPause)); n != 2 {
		t.Errorf("after the pause: %d", n)
	}
}

// TestAccountsAreForgottenAfterAnHour: of tokens and tenants that are gone, once
// nothing of theirs is in flight and nothing was heard for more than an hour.
func TestAccountsAreForgottenAfterAnHour(t *testing.T) {
	l := newLimiter(t, func(o *Options) {
		o.UsableToken = func(string, time.Time) bool { return false }
		o.UsableTenant = func(string) bool { return false }
	})
	known := func(now time.Time) (int, int) {
		l.look(now)
		return l.tokens.Size(), l.tenants.Size()
	}
	held := mustEnter(t, l, caller("acme", "a", directory.Limits{}, directory.Limits{}), noon)
	if tokens, tenants := known(noon.Add(3 * time.Hour)); tokens != 1 || tenants != 1 {
		t.Errorf("in flight: %d tokens, %d tenants", tokens, tenants)
	}
	held.Leave(0, noon)
	if tokens, tenants := known(noon.Add(forgetAfter)); tokens != 1 || tenants != 1 {
		t.Errorf("an hour later: %d tokens, %d tenants", tokens, tenants)
	}
	if tokens, tenants := known(noon.Add(forgetAfter + 1)); tokens != 0 || tenants != 0 {
		t.Errorf("after an hour: %d tokens, %d tenants", tokens, tenants)
	}
}
