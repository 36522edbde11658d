package admission

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter/spent"
)

// mustEnter lets a request in.
func mustEnter(t *testing.T, l *Limiter, c *directory.Caller, now time.Time) *Pass {
	t.Helper()
	p := &Pass{}
	if why := l.Enter(p, c, now); why != nil {
		t.Fatalf("refused: %+v", why)
	}
	return p
}

func TestMonthsAreCountedFromYearZero(t *testing.T) {
	for text, want := range map[string]int64{
		"0000-01-01": 0, "0000-12-31": 11, "0001-01-01": 12, "1970-01-01": 1970 * 12, "2026-11-01": 2026*12 + 10, "2026-11-30": 2026*12 + 10,
		"2026-12-01": 2026*12 + 11, "2026-12-31": 2026*12 + 11, "2027-01-01": 2027 * 12,
	} {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := monthOf(spent.DayOf(day)); got != want {
			t.Errorf("%s: month %d, want %d", text, got, want)
		}
	}
}

// TestWithoutLimitsNothingIsSaidOrRefused: zero is no limit, of any kind.
func TestWithoutLimitsNothingIsSaidOrRefused(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{}, directory.Limits{})
	for range 100 {
		p := mustEnter(t, l, c, noon)
		if why := p.Reserve(1e12, true, noon); why != nil {
			t.Fatalf("%+v", why)
		}
		if len(p.Standings()) != 0 || p.MaxBody() != 0 || p.Body(math.MaxInt64) != nil {
			t.Fatalf("standings %+v, body of %d, %+v", p.Standings(), p.MaxBody(), p.Body(math.MaxInt64))
		}
	}
}

// TestStandingsAndRefusalsAreExact: what is left and when it is there again, for
// each limit, of a token and of a tenant.
func TestStandingsAndRefusalsAreExact(t *testing.T) {
	second := time.Second
	for _, f := range []struct {
		limits          directory.Limits
		calls           []int64 // reserved by each, which all stay in flight
		first, last     Standing
		limit           string
		after           time.Duration
		onlyWhenRefused bool
	}{
		{
			directory.Limits{RequestsPerSecond: 4},
			[]int64{0, 0, 0, 0},
			Standing{Most: 4, Left: 3, Reset: second / 4},
			Standing{Most: 4, Reset: second},
			RequestsPerSecond, second / 4, false,
		},
		{
			directory.Limits{RequestsPerSecond: 0.5},
			[]int64{0},
			Standing{Most: 0.5, Left: 0, Reset: 2 * second},
			Standing{Most: 0.5, Reset: 2 * second},
			RequestsPerSecond, 2 * second, false,
		},
		{
			directory.Limits{RequestsInFlight: 2}, []int64{0, 0}, Standing{}, Standing{Most: 2, Reset: whenFull}, RequestsInFlight, whenFull, true,
		},
		{
			directory.Limits{Streams: 2}, []int64{0, 0}, Standing{}, Standing{Most: 2, Reset: whenFull}, Streams, whenFull, true,
		},
		{
			directory.Limits{TokensPerMinute: 600},
			[]int64{100, 400, 150},
			Standing{Most: 600, Left: 500, Reset: 10 * second},
			Standing{Most: 600, Left: 100, Reset: 50 * second},
			TokensPerMinute, 5 * second, false,
		},
		{
			directory.Limits{TokensPerMinute: 600}, []int64{600, 1}, // all of it at once
			Standing{Most: 600, Left: 0, Reset: 60 * second}, Standing{Most: 600, Left: 0, Reset: 60 * second}, TokensPerMinute, second / 10, false,
		},
		{
			directory.Limits{TokensPerMinute: 600}, []int64{1200, 60}, // twice of it: 600 are owed
			Standing{Most: 600, Left: 0, Reset: 120 * second}, Standing{Most: 600, Left: 0, Reset: 120 * second}, TokensPerMinute, 66 * second, false,
		},
	} {
		for _, scope := range []string{ScopeToken, ScopeTenant} {
			l := newLimiter(t)
			c := caller("acme", "a", f.limits, directory.Limits{})
			if scope == ScopeTenant {
				c = caller("acme", "a", directory.Limits{}, f.limits)
			}
			begin := func(tokens int64) (Pass, *Refusal) {
				var p Pass
				why := l.Enter(&p, c, noon)
				if why == nil {
					why = p.Reserve(tokens, true, noon)
				}
				return p, why
			}
			f.first.Limit, f.first.Scope, f.last.Limit, f.last.Scope = f.limit, scope, f.limit, scope
			refused := false
			for i, tokens := range append(slices.Clone(f.calls), 0) {
				p, why := begin(tokens)
				if i == 0 && !f.onlyWhenRefused && !slices.Equal(p.Standings(), []Standing{f.first}) {
					t.Errorf("%s of a %s: first %+v, want %+v", f.limit, scope, p.Standings(), f.first)
				}
				if i == 0 && f.onlyWhenRefused && len(p.Standings()) != 0 {
					t.Errorf("%s of a %s: first %+v, want none", f.limit, scope, p.Standings())
				}
				if why == nil {
					continue
				}
				refused = true
				if *why != (Refusal{Limit: f.limit, Scope: scope, After: f.after}) || !slices.Equal(p.Standings(), []Standing{f.last}) {
					t.Errorf("%s of a %s: refused with %+v, %+v; want %s, %+v", f.limit, scope, why, p.Standings(), f.after, f.last)
				}
				break
			}
			if !refused {
				t.Errorf("%s of a %s: nothing was refused", f.limit, scope)
			}
		}
	}
}

// TestBudgetsEndWithTheirPeriods: the standings of budgets, and their refusals,
// up to the last token.
func TestBudgetsEndWithTheirPeriods(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{TokensPerDay: 100, TokensPerMonth: 150}, directory.Limits{})
	const toMidnight, toDecember = 12 * time.Hour, (6*24 + 12) * time.Hour
	look := func(now time.Time, day, month int64, toNight, toMonth time.Duration, refused string) {
		t.Helper()
		var p Pass
		why := l.Enter(&p, c, now)
		want := []Standing{{TokensPerDay, ScopeToken, 100, day, toNight}, {TokensPerMonth, ScopeToken, 150, month, toMonth}}
		after := toMonth
		if refused == TokensPerDay {
			want, after = want[:1], toNight
		}
		if !slices.Equal(p.Standings(), want) {
			t.Errorf("%+v, want %+v", p.Standings(), want)
		}
		if (why != nil) != (refused != "") || why != nil && *why != (Refusal{Limit: refused, Scope: ScopeToken, After: after}) {
			t.Errorf("%+v, want %q", why, refused)
		}
		p.Leave(0, now)
	}
	look(noon, 100, 150, toMidnight, toDecember, "")
	_ = call(l, c, 99, noon)
	look(noon, 1, 51, toMidnight, toDecember, "")
	_ = call(l, c, 1, noon)
	look(noon, 0, 50, toMidnight, toDecember, TokensPerDay)
	tomorrow := noon.Add(24 * time.Hour)
	look(tomorrow, 100, 50, toMidnight, toDecember-24*time.Hour, "")
	_ = call(l, c, 80, tomorrow)
	look(tomorrow, 20, 0, toMidnight, toDecember-24*time.Hour, TokensPerMonth)
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	look(december, 100, 150, 24*time.Hour, 31*24*time.Hour, "")
}

// TestLimitTakenAwayIsNone: what was used up under a limit does not refuse once
// the limit is gone, and counts again when it is back.
func TestLimitTakenAwayIsNone(t *testing.T) {
	l := newLimiter(t)
	limited := caller("acme", "a", directory.Limits{RequestsPerSecond: 1, TokensPerMinute: 60}, directory.Limits{})
	free := caller("acme", "a", directory.Limits{}, directory.Limits{})
	full := caller("acme", "a", directory.Limits{}, directory.Limits{RequestsInFlight: 1})
	if why := call(l, limited, 60, noon); why != nil {
		t.Fatalf("%+v", why)
	}
	if why := call(l, limited, 1, noon); why == nil || why.Limit != RequestsPerSecond {
		t.Fatalf("%+v", why)
	}
	for range 3 {
		if why := call(l, free, 1, noon); why != nil {
			t.Errorf("without a limit: %+v", why)
		}
	}
	held := mustEnter(t, l, free, noon)
	var p Pass
	for range 3 { // each undoes what it has taken of the token, which is nothing
		if why := l.Enter(&p, full, noon); why == nil || why.Limit != RequestsInFlight || why.Scope != ScopeTenant {
			t.Fatalf("%+v", why)
		}
	}
	held.Leave(0, noon)
	if why := call(l, limited, 1, noon); why == nil || why.Limit != RequestsPerSecond || why.After != time.Second {
		t.Errorf("with the limit again: %+v", why)
	}
	if why := call(l, limited, 1, noon.Add(time.Second)); why != nil {
		t.Errorf("a second later: %+v", why)
	}
}

// TestRefusedRequestCostsNothing: a request that the tenant's limit refuses gives
// back what it took of the token's, at each of the two steps.
func TestRefusedRequestCostsNothing(t *testing.T) {
	l := newLimiter(t)
	token := directory.Limits{RequestsPerSecond: 2, TokensPerMinute: 100, RequestsInFlight: 2, Streams: 2}
	held := mustEnter(t, l, caller("acme", "other", directory.Limits{}, directory.Limits{}), noon)
	if why := held.Reserve(0, true, noon); why != nil {
		t.Fatal(why)
	}
	var p Pass
	for range 5 {
		if why := l.Enter(&p, caller("acme", "a", token, directory.Limits{RequestsInFlight: 1}), noon); why == nil || why.Scope != ScopeTenant {
			t.Fatalf("%+v", why)
		}
	}
	c := caller("acme", "a", token, directory.Limits{Streams: 1})
	p = *mustEnter(t, l, c, noon)
	for range 5 {
		if why := p.Reserve(100, true, noon); why == nil || why.Scope != ScopeTenant || why.Limit != Streams {
			t.Fatalf("%+v", why)
		}
	}
	held.Leave(0, noon)
	if why := p.Reserve(100, true, noon); why != nil {
		t.Errorf("the token has all of its limits: %+v", why)
	}
	if why := l.Enter(&Pass{}, c, noon); why != nil {
		t.Errorf("one of two requests was let in: %+v", why)
	}
}

// TestWhatWasSpentBeforeBelongsToItsPeriod: what is read back counts for the day
// and the month that it was spent in, also when the first look comes later.
func TestWhatWasSpentBeforeBelongsToItsPeriod(t *testing.T) {
	today := spent.DayOf(noon)
	rows := []spent.Spent{
		{Tenant: "acme", Token: "a", Day: today, Tokens: 1000},
		{Tenant: "acme", Token: "a", Day: today - 1, Tokens: 300},
		{Tenant: "acme", Token: "a", Day: today - 24, Tokens: 7}, // in October
	}
	left := func(now time.Time, usedBefore bool) (all [4]int64) {
		l := New(Options{Settings: Settings{MaxInFlight: 10}, UsableToken: func(string, time.Time) bool { return true }, UsableTenant: func(string) bool { return true }})
		defer l.Close()
		if usedBefore { // by calls without a budget
			_ = call(l, caller("acme", "a", directory.Limits{}, directory.Limits{}), 10, now)
		}
		l.Restore(rows, noon)
		budget := directory.Limits{TokensPerDay: 5000, TokensPerMonth: 5000}
		for range 2 { // what was spent before is added once
			p := mustEnter(t, l, caller("acme", "a", budget, budget), now)
			for i, s := range p.Standings() {
				all[i] = 5000 - s.Left
			}
			p.Leave(0, now)
		}
		return all
	}
	for _, f := range []struct {
		now        time.Time
		usedBefore bool
		day, month int64
	}{
		{noon, false, 1000, 1300},
		{noon, true, 1010, 1310},
		{noon.Add(24 * time.Hour), false, 0, 1300},
		{noon.Add(24 * time.Hour), true, 10, 1310},
		{noon.Add(7 * 24 * time.Hour), false, 0, 0},
		{noon.Add(7 * 24 * time.Hour), true, 10, 10},
	} {
		if got := left(f.now, f.usedBefore); got != [4]int64{f.day, f.month, f.day, f.month} {
			t.Errorf("%s, used before %v: %v of the token's day and month, then the tenant's; want %d, %d", f.now, f.usedBefore, got, f.day, f.month)
		}
	}
}

func TestBodiesUpToTheSmallerLimit(t *testing.T) {
	for _, f := range []struct{ token, tenant, most int64 }{{0, 0, 0}, {10, 0, 10}, {0, 10, 10}, {10, 20, 10}, {20, 10, 10}, {10, 10, 10}} {
		p := mustEnter(t, newLimiter(t), caller("acme", "a", directory.Limits{BodyBytes: f.token}, directory.Limits{BodyBytes: f.tenant}), noon)
		if p.MaxBody() != f.most || p.Body(f.most) != nil {
			t.Errorf("%+v: %d, %+v", f, p.MaxBody(), p.Body(f.most))
		}
		if why := p.Body(f.most + 1); f.most > 0 && (why == nil || why.Limit != BodyBytes) {
			t.Errorf("%+v: one byte more: %+v", f, why)
		}
	}
}

// TestPassHoldsEveryStanding: four limits of each scope show what is left, and
// more do not fit.
func TestPassHoldsEveryStanding(t *testing.T) {
	all := directory.Limits{RequestsPerSecond: 10, TokensPerDay: 1e6, TokensPerMonth: 1e6, TokensPerMinute: 1e5}
	p := mustEnter(t, newLimiter(t), caller("acme", "a", all, all), noon)
	for range 3 {
		if why := p.Reserve(1, false, noon); why != nil {
			t.Fatal(why)
		}
	}
	var got []string
	for _, s := range p.Standings() {
		got = append(got, s.Scope+" "+s.Limit)
	}
	slices.Sort(got)
	if want := []string{
		"tenant requests_per_second", "tenant tokens_per_day", "tenant tokens_per_minute", "tenant tokens_per_month",
		"token requests_per_second", "token tokens_per_day", "token tokens_per_minute", "token tokens_per_month",
	}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestLastQuarterIsSharedEvenly: while the gateway is crowded a tenant gets up to
// the room divided by the tenants that are there and one more.
func TestLastQuarterIsSharedEvenly(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight = 8 })
	tokens := 0
	of := func(tenant string) *directory.Caller { // each request with a token of its own
		tokens++
		return caller(tenant, fmt.Sprint(tokens), directory.Limits{}, directory.Limits{})
	}
	for _, tenant := range []string{"a", "a", "a", "b", "b", "b"} {
		mustEnter(t, l, of(tenant), noon)
	}
	refused := func(tenant, why string) {
		t.Helper()
		var p Pass
		if got := l.Enter(&p, of(tenant), noon); got == nil || *got != (Refusal{Limit: RequestsInFlight, Scope: ScopeGateway, After: whenFull}) {
			t.Errorf("%s: %+v", why, got)
		}
	}
	refused("a", "three of eight are more than a third")
	mustEnter(t, l, of("c"), noon)
	last := mustEnter(t, l, of("c"), noon) // two of eight are a quarter
	refused("d", "all places are taken")
	if l.InFlight() != 8 || l.active.Load() != 3 {
		t.Errorf("%d places, %d tenants", l.InFlight(), l.active.Load())
	}
	last.Leave(0, noon)
	if l.InFlight() != 7 || l.active.Load() != 3 {
		t.Errorf("%d places, %d tenants after one has left", l.InFlight(), l.active.Load())
	}
	mustEnter(t, l, of("d"), noon)
}

// TestQueueGivesThePlaceThatFallsFree: a request that waits is let in as soon as
// another one leaves.
func TestQueueGivesThePlaceThatFallsFree(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 1, time.Hour })
	held := mustEnter(t, l, caller("a", "a", directory.Limits{}, directory.Limits{}), noon)
	entered := make(chan *Refusal)
	var p Pass
	go func() { entered <- l.Enter(&p, caller("b", "b", directory.Limits{}, directory.Limits{}), noon) }()
	for l.slots.waiting.Load() == 0 {
		select {
		case why := <-entered:
			t.Fatalf("it did not wait: %+v", why)
		default:
		}
	}
	held.Leave(0, noon)
	if why := <-entered; why != nil {
		t.Errorf("%+v", why)
	}
	p.Leave(0, noon)
	if l.InFlight() != 0 || l.slots.waiting.Load() != 0 {
		t.Errorf("%d places, %d waiting", l.InFlight(), l.slots.waiting.Load())
	}
}
