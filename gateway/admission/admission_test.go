package admission

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter/spent"
)

func newLimiter(t testing.TB, change ...func(*Options)) *Limiter {
	t.Helper()
	o := Options{
		UsableToken: func(string, time.Time) bool { return true }, UsableTenant: func(string) bool { return true },
		Settings: Settings{MaxInFlight: 1000, Runaway: Runaway{Alarm: func(Spree) {}}},
	}
	for _, c := range change {
		c(&o)
	}
	l := New(o)
	l.Restore(nil, noon)
	t.Cleanup(l.Close)
	return l
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func caller(tenant, token string, own, shared directory.Limits) *directory.Caller {
	return &directory.Caller{Tenant: &directory.Tenant{ID: tenant, Limits: shared}, Token: &directory.Token{ID: token, Limits: own}}
}

// call is one request that uses up tokens and ends at once.
func call(l *Limiter, c *directory.Caller, tokens int64, now time.Time) *Refusal {
	var p Pass
	why := l.Enter(&p, c, now)
	if why == nil {
		why = p.Reserve(tokens, false, now)
	}
	used := tokens
	if why != nil {
		used = 0
	}
	p.Leave(used, now)
	return why
}

// A client that waits as long as it was told is let in, and one that comes
// earlier is not: for rates of requests and of tokens, of token and tenant.
func TestRetryAfterIsHonest(t *testing.T) {
	f := func(own, shared directory.Limits, limit, scope string, tokens int64) {
		t.Helper()
		l := newLimiter(t)
		c := caller("acme", "a", own, shared)
		now, served := noon, 0
		var why *Refusal
		for why = call(l, c, tokens, now); why == nil && served < 1000; why = call(l, c, tokens, now) {
			served++
		}
		if why == nil || served == 0 || why.Limit != limit || why.Scope != scope || why.After <= 0 {
			t.Fatalf("after %d: %+v", served, why)
		}
		if early := call(l, c, tokens, now.Add(why.After*9/10)); early == nil {
			t.Errorf("%s: let in before its time", limit)
		}
		if late := call(l, c, tokens, now.Add(why.After+time.Microsecond)); late != nil {
			t.Errorf("%s: refused at its time: %+v", limit, late)
		}
	}
	f(directory.Limits{RequestsPerSecond: 5}, directory.Limits{}, RequestsPerSecond, ScopeToken, 1)
	f(directory.Limits{RequestsPerSecond: 0.5}, directory.Limits{}, RequestsPerSecond, ScopeToken, 1)
	f(directory.Limits{}, directory.Limits{RequestsPerSecond: 40}, RequestsPerSecond, ScopeTenant, 1)
	f(directory.Limits{TokensPerMinute: 6000}, directory.Limits{}, TokensPerMinute, ScopeToken, 700)
	f(directory.Limits{TokensPerMinute: 6000}, directory.Limits{}, TokensPerMinute, ScopeToken, 10_000) // larger than all of it
	f(directory.Limits{}, directory.Limits{TokensPerMinute: 90}, TokensPerMinute, ScopeTenant, 50)
	f(directory.Limits{TokensPerDay: 100}, directory.Limits{}, TokensPerDay, ScopeToken, 30)
	f(directory.Limits{}, directory.Limits{TokensPerMonth: 100}, TokensPerMonth, ScopeTenant, 30)
}

// Of what was reserved, what was not used comes back, and what was used beyond
// it is owed.
func TestReserveThenSettle(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{TokensPerMinute: 1000}, directory.Limits{})
	var p, q Pass
	if why := l.Enter(&p, c, noon); why != nil {
		t.Fatal(why)
	}
	if why := p.Reserve(900, false, noon); why != nil {
		t.Fatal(why)
	}
	_ = l.Enter(&q, c, noon)
	if why := q.Reserve(200, false, noon); why == nil || why.Limit != TokensPerMinute {
		t.Errorf("beyond what is reserved: %+v", why)
	}
	p.Leave(100, noon)
	if why := q.Reserve(200, false, noon); why != nil {
		t.Errorf("after it was settled: %+v", why)
	}
	q.Leave(5900, noon) // 5,000 more than there were
	if why := call(l, c, 1, noon.Add(4*time.Minute)); why == nil {
		t.Error("the debt was forgotten")
	}
	if why := call(l, c, 1, noon.Add(6*time.Minute)); why != nil {
		t.Errorf("the debt was paid: %+v", why)
	}
}

// What calls have used that reserve nothing, such as those that fetch a result, is
// owed as well, also before any call has reserved.
func TestUsedWithoutReserving(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{TokensPerMinute: 1000}, directory.Limits{TokensPerMinute: 1000})
	p := mustEnter(t, l, c, noon)
	p.Leave(3000, noon)
	if why := call(l, c, 1, noon.Add(time.Minute)); why == nil || why.Limit != TokensPerMinute {
		t.Errorf("2,000 are owed: %+v", why)
	}
	if why := call(l, c, 1, noon.Add(2*time.Minute+time.Second)); why != nil {
		t.Errorf("the debt was paid: %+v", why)
	}
}

// A budget is overshot by the requests in flight at most, whatever they use,
// and is there again when its period begins.
func TestBudgets(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{TokensPerDay: 1000, TokensPerMonth: 2500}, directory.Limits{})
	spend := func(now time.Time, atOnce int) (total int64, last *Refusal) {
		for {
			passes := make([]Pass, atOnce)
			for i := range passes {
				if last = l.Enter(&passes[i], c, now); last == nil {
					last = passes[i].Reserve(10, false, now)
				}
				if last != nil {
					break
				}
			}
			if last != nil {
				for i := range passes {
					passes[i].Leave(0, now)
				}
				return total, last
			}
			for i := range passes {
				passes[i].Leave(130, now)
				total += 130
			}
			if total > 100_000 {
				t.Fatal("nothing is refused")
			}
		}
	}
	for day, want := range []string{TokensPerDay, TokensPerDay, TokensPerMonth} {
		now := noon.AddDate(0, 0, day)
		total, why := spend(now, 3)
		if why.Limit != want || total >= 1000+3*130 {
			t.Errorf("day %d: spent %d, %+v", day, total, why)
		}
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	if total, why := spend(now, 1); total < 1000 || total > 1130 || why.Limit != TokensPerDay || why.After != 24*time.Hour {
		t.Errorf("the next month: %d, %+v", total, why)
	}
}

func TestWhatWasSpentBeforeCounts(t *testing.T) {
	l := New(Options{Settings: Settings{MaxInFlight: 10}, UsableToken: func(string, time.Time) bool { return true }, UsableTenant: func(string) bool { return true }})
	defer l.Close()
	daily := caller("acme", "a", directory.Limits{TokensPerDay: 1000}, directory.Limits{})
	if why := call(l, daily, 1, noon); why == nil || !why.Unknown {
		t.Errorf("a budget before anything is known: %+v", why)
	}
	if why := call(l, caller("acme", "c", directory.Limits{}, directory.Limits{}), 1, noon); why != nil {
		t.Errorf("no budget, nothing to know: %+v", why)
	}
	today := spent.DayOf(noon)
	l.Restore([]spent.Spent{
		{Tenant: "acme", Token: "a", Day: today, Tokens: 995},
		{Tenant: "acme", Token: "b", Day: today - 3, Tokens: 500},
		{Tenant: "acme", Token: "b", Day: today - 30, Tokens: 9_000}, // another month
	}, noon)
	if why := call(l, daily, 10, noon); why != nil {
		t.Errorf("five are left: %+v", why)
	}
	if why := call(l, daily, 1, noon); why == nil || why.Limit != TokensPerDay {
		t.Errorf("nothing is left: %+v", why)
	}
	monthly := caller("acme", "b", directory.Limits{TokensPerMonth: 501}, directory.Limits{TokensPerMonth: 1507})
	if why := call(l, monthly, 1, noon); why != nil {
		t.Errorf("one is left: %+v", why)
	}
	if why := call(l, monthly, 1, noon); why == nil || why.Scope != ScopeToken {
		t.Errorf("none is left: %+v", why)
	}
	if why := call(l, caller("acme", "d", directory.Limits{}, directory.Limits{TokensPerMonth: 1507}), 1, noon); why == nil || why.Scope != ScopeTenant {
		t.Errorf("the tenant has spent 1507: %+v", why)
	}
}

// Streams and requests in flight are bounded, and a place comes back whatever
// way a request ends.
func TestPlacesComeBack(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "a", directory.Limits{RequestsInFlight: 3, Streams: 2}, directory.Limits{RequestsInFlight: 4})
	for range 50 {
		passes := make([]Pass, 6)
		streams, in := 0, 0
		for i := range passes {
			if why := l.Enter(&passes[i], c, noon); why != nil {
				if why.Limit != RequestsInFlight {
					t.Fatalf("%+v", why)
				}
				continue
			}
			in++
			if why := passes[i].Reserve(1, true, noon); why == nil {
				streams++
			} else if why.Limit != Streams {
				t.Fatalf("%+v", why)
			}
		}
		if in != 3 || streams != 2 {
			t.Fatalf("%d in flight, %d streams", in, streams)
		}
		for i := range passes {
			passes[i].Leave(1, noon)
			passes[i].Leave(1, noon) // once is enough
		}
	}
	if n := l.slots.taken.Load(); n != 0 || l.active.Load() != 0 {
		t.Errorf("%d places, %d tenants after all have left", n, l.active.Load())
	}
}

// While all places are taken, a tenant with many requests waiting does not keep
// others from their turn.
func TestQueueIsFair(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 4, 10*time.Second })
	loud, quiet := caller("loud", "l", directory.Limits{}, directory.Limits{}), caller("quiet", "q", directory.Limits{}, directory.Limits{})
	var first [4]Pass
	for i := range first {
		c := caller(fmt.Sprint("other", i), fmt.Sprint(i), directory.Limits{}, directory.Limits{})
		if why := l.Enter(&first[i], c, noon); why != nil {
			t.Fatal(why)
		}
	}
	var order []string
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := func(c *directory.Caller) {
		waiting := l.slots.waiting.Load()
		all.Go(func() {
			var p Pass
			why := l.slots.wait(l.find(l.tenants, c.Tenant.ID, ""), l.Settings().QueueTime)
			mu.Lock()
			defer mu.Unlock()
			if why != nil {
				t.Error(why)
				return
			}
			order = append(order, c.Tenant.ID)
			p.limiter = l
			l.slots.give()
		})
		for l.slots.waiting.Load() == waiting {
			time.Sleep(time.Millisecond)
		}
	}
	for range 40 {
		begin(loud)
	}
	for range 3 {
		begin(quiet)
	}
	first[0].Leave(0, noon)
	all.Wait()
	for i, n := 0, 0; i < len(order); i++ {
		if order[i] == "quiet" {
			if n++; i > 3*n+3 { // goroutines may overtake each other on their way to the lock
				t.Errorf("quiet's request %d came as number %d: %v", n, i, order)
			}
		}
	}
	if len(order) != 43 {
		t.Errorf("%d were let in", len(order))
	}
}

// The last quarter of all places is not for a tenant that has its share.
func TestNoTenantTakesAllPlaces(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight = 100 })
	loud := caller("loud", "l", directory.Limits{}, directory.Limits{})
	passes := make([]Pass, 200)
	in := 0
	for i := range passes {
		if why := l.Enter(&passes[i], loud, noon); why == nil {
			in++
		} else if why.Scope != ScopeGateway || why.After <= 0 {
			t.Fatalf("%+v", why)
		}
	}
	if in != 75 {
		t.Errorf("one tenant got %d of 100 places", in)
	}
	others := make([]Pass, 25)
	for i := range others {
		if why := l.Enter(&others[i], caller(fmt.Sprint("t", i), fmt.Sprint("t", i), directory.Limits{}, directory.Limits{}), noon); why != nil {
			t.Errorf("another tenant, number %d: %+v", i, why)
		}
	}
}

func TestQueueGivesUp(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 1, 20*time.Millisecond })
	var held, p Pass
	_ = l.Enter(&held, caller("a", "a", directory.Limits{}, directory.Limits{}), noon)
	if why := l.Enter(&p, caller("b", "b", directory.Limits{}, directory.Limits{}), noon); why == nil || why.Limit != RequestsInFlight {
		t.Fatalf("%+v", why)
	}
	held.Leave(0, noon)
	if why := l.Enter(&p, caller("b", "b", directory.Limits{}, directory.Limits{}), noon); why != nil {
		t.Errorf("there is room again: %+v", why)
	}
	p.Leave(0, noon)
	if n := l.slots.taken.Load(); n != 0 || l.slots.waiting.Load() != 0 {
		t.Errorf("%d places taken, %d waiting", n, l.slots.waiting.Load())
	}
}

// Whatever many requests do at once, at the end every place is free and every
// count is right.
func TestCountsAreRightInTheEnd(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 8, time.Millisecond })
	var all sync.WaitGroup
	var mu sync.Mutex
	used := map[string]int64{}
	for g := range 32 {
		all.Go(func() {
			id := fmt.Sprint("t", g%5)
			c := caller(id, id, directory.Limits{RequestsInFlight: 4, Streams: 2, TokensPerDay: 1e9}, directory.Limits{})
			for range 300 {
				var p Pass
				now := time.Now()
				why := l.Enter(&p, c, now)
				if why == nil {
					why = p.Reserve(rand.Int64N(100), rand.N(2) == 0, now)
				}
				n := int64(0)
				if why == nil {
					n = rand.Int64N(100)
					mu.Lock()
					used[id] += n
					mu.Unlock()
				}
				p.Leave(n, time.Now())
			}
		})
	}
	all.Wait()
	if l.slots.taken.Load() != 0 || l.slots.waiting.Load() != 0 || l.active.Load() != 0 {
		t.Errorf("%d taken, %d waiting, %d active", l.slots.taken.Load(), l.slots.waiting.Load(), l.active.Load())
	}
	for id, n := range used {
		for _, a := range []*account{l.find(l.tokens, id, ""), l.find(l.tenants, id, "")} {
			if a.inFlight != 0 || a.streams != 0 || a.month.tokens != n {
				t.Errorf("%s: %d in flight, %d streams, %d tokens for %d", id, a.inFlight, a.streams, a.month.tokens, n)
			}
		}
	}
}

func TestRunawayIsSeenWithinAMinute(t *testing.T) {
	var seen []Spree
	l := newLimiter(t, func(o *Options) {
		o.Runaway = Runaway{TokensPerMinute: 100_000, Factor: 10, Least: 5000, Alarm: func(s Spree) { seen = append(seen, s) }}
	})
	habit, fresh := caller("acme", "habit", directory.Limits{}, directory.Limits{}), caller("acme", "fresh", directory.Limits{}, directory.Limits{})
	now := noon
	step := func(c *directory.Caller, tokens int64) {
		_ = call(l, c, tokens, now)
		now = now.Add(lookInterval)
		l.look(now)
	}
	for range 30 * minuteSteps { // half an hour at 1,200 a minute
		step(habit, 100)
	}
	if len(seen) > 0 {
		t.Fatalf("an alarm in the usual course: %+v", seen)
	}
	begin := now
	for len(seen) == 0 && now.Sub(begin) < 2*time.Minute {
		step(habit, 2000) // 24,000 a minute: twenty times its norm
	}
	if len(seen) != 1 || now.Sub(begin) > time.Minute {
		t.Fatalf("after %s: %+v", now.Sub(begin), seen)
	}
	if s := seen[0]; s.Token != "habit" || s.Tenant != "acme" || s.Usual < 900 || s.Usual > 1300 || s.TokensPerMinute < 12_000 {
		t.Errorf("%+v", s)
	}
	for range minuteSteps {
		step(habit, 2000)
	}
	if len(seen) != 1 {
		t.Errorf("%d alarms in two minutes", len(seen))
	}
	for now.Sub(seen[0].At) < 10*time.Minute-2*lookInterval {
		step(habit, 20_000) // the absolute bound, all the time
	}
	if len(seen) != 1 {
		t.Errorf("%d alarms in ten minutes", len(seen))
	}
	for range 4 {
		step(habit, 20_000)
	}
	if len(seen) != 2 {
		t.Fatalf("%d alarms after ten minutes", len(seen))
	}
	seen = seen[:1]
	begin = now
	for len(seen) == 1 && now.Sub(begin) < 2*time.Minute {
		step(fresh, 20_000) // it has no habits; the absolute bound counts
	}
	if len(seen) != 2 || seen[1].Token != "fresh" || now.Sub(begin) > time.Minute {
		t.Errorf("after %s: %+v", now.Sub(begin), seen)
	}
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	gone := map[string]bool{}
	l := newLimiter(t, func(o *Options) {
		o.UsableToken = func(id string, _ time.Time) bool { return !gone[id] }
		o.UsableTenant = func(id string) bool { return !gone[id] }
	})
	for _, id := range []string{"a", "b"} {
		_ = call(l, caller(id, id, directory.Limits{}, directory.Limits{}), 1, noon)
	}
	gone["a"] = true
	l.look(noon.Add(time.Minute))
	if l.tokens.Size() != 2 {
		t.Error("forgotten at once")
	}
	l.look(noon.Add(2 * time.Hour))
	if _, there := l.tokens.Load("a"); there || l.tokens.Size() != 1 || l.tenants.Size() != 1 {
		t.Errorf("%d tokens, %d tenants are known", l.tokens.Size(), l.tenants.Size())
	}
}

func BenchmarkPass(b *testing.B) {
	for name, own := range map[string]directory.Limits{
		"unlimited": {}, "limited": {RequestsPerSecond: 1e9, TokensPerMinute: 1e12, RequestsInFlight: 100, TokensPerDay: 1e15},
	} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(b)
			c := caller("acme", "a", own, directory.Limits{})
			var p Pass
			b.ReportAllocs()
			for b.Loop() {
				now := time.Now()
				if why := l.Enter(&p, c, now); why != nil {
					b.Fatal(why)
				}
				_ = p.Reserve(300, false, now)
				p.Leave(300, now)
			}
		})
	}
}

// TestDefaultsHoldWhereNothingElseDoes: limits of the configuration are for
// tokens and tenants that have none of their own, and each of both can refuse.
func TestDefaultsHoldWhereNothingElseDoes(t *testing.T) {
	one, three := directory.Limits{RequestsPerSecond: 1}, directory.Limits{RequestsPerSecond: 3}
	f := func(o Settings, own, shared directory.Limits, want int, scope string) {
		t.Helper()
		l := newLimiter(t, func(to *Options) { to.Token, to.Tenant = o.Token, o.Tenant })
		c := caller("acme", "a", own, shared)
		served := 0
		why := call(l, c, 1, noon)
		for ; why == nil && served < 100; why = call(l, c, 1, noon) {
			served++
		}
		if scope == "" && why == nil {
			return
		}
		if served != want || why == nil || why.Scope != scope {
			t.Errorf("%+v with %v and %v: %d served, %+v", o, own, shared, served, why)
		}
	}
	f(Settings{}, directory.Limits{}, directory.Limits{}, 100, "")
	f(Settings{Token: one}, directory.Limits{}, directory.Limits{}, 1, ScopeToken)
	f(Settings{Token: one}, three, directory.Limits{}, 3, ScopeToken)
	f(Settings{Token: three, Tenant: one}, directory.Limits{}, directory.Limits{}, 1, ScopeTenant)
	f(Settings{Token: one, Tenant: one}, directory.Limits{RequestsPerSecond: 9}, three, 3, ScopeTenant)
}
