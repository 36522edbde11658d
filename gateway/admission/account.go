package admission

import (
	"sync"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/puzpuzpuz/xsync/v4"
)

// account is what is known of a token, or of a tenant: what it uses now.
type account struct {
	id       string
	tenant   string // of a token
	mu       sync.Mutex
	requests level
	tokens   level
	inFlight int64
	streams  int64
	day      period
	month    period
	used     time.Time
	velocity velocity
	holder   Holder // of a tenant
}

// find gives the account of an id, a new one for one never seen.
func (l *Limiter) find(in *xsync.Map[string, *account], id, tenant string) *account {
	if a, ok := in.Load(id); ok {
		return a
	}
	a, _ := in.LoadOrStore(id, &account{id: id, tenant: tenant, holder: Holder{room: &l.room}})
	return a
}

// level is what is left of a rate: it fills up evenly. What was used beyond it
// makes it negative.
type level struct {
	left float64
	at   time.Time
}

// fill brings the level up to now. Calls come out of order: one from before the
// last one adds nothing, and what came since then does not count again.
func (l *level) fill(perSecond, most float64, now time.Time) {
	if l.at.IsZero() {
		l.left, l.at = most, now
	} else if passed := now.Sub(l.at); passed > 0 {
		l.left += passed.Seconds() * perSecond
		l.at = now
	}
	l.left = min(l.left, most)
}

// until is how long it takes until n is there, up to maxWait.
func (l *level) until(n, perSecond float64) time.Duration {
	return time.Duration(min(max(0, (n-l.left)/perSecond*float64(time.Second)), float64(maxWait)))
}

// maxWait is longer than anybody waits, and no longer than a duration can be.
const maxWait = 100 * 365 * 24 * time.Hour

// span is what was spent on a day, or in a month.
type span struct {
	at     int64 // which: days since 1970, or months since year 0
	tokens int64
	whole  bool // what was spent before this process began is in it
}

// period is the span that is counted now. The one before is kept: calls end out of
// order at midnight, and a clock that was ahead is set back.
type period struct {
	span
	before span
}

// move goes on to a span, or back to the one before.
func (b *period) move(at int64) {
	switch at {
	case b.at:
	case b.before.at:
		b.span, b.before = b.before, b.span
	default:
		b.span, b.before = span{at: at}, b.span
	}
}

// complete adds what was spent before this process began, once.
func (b *period) complete(spans []span) {
	if b.whole {
		return
	}
	for _, s := range spans {
		if s.at == b.at {
			b.tokens = meter.Add(b.tokens, s.tokens)
		}
	}
	b.whole = true
}

// monthOf counts months of the day.
func monthOf(day int64) int64 {
	t := time.Unix(day*int64(24*time.Hour/time.Second), 0).UTC()
	return int64(t.Year())*12 + int64(t.Month()) - 1
}

// burst is how many requests may come at once: those of a second, one at least.
func burst(l *directory.Limits) float64 { return max(1, l.RequestsPerSecond) }

const secondsPerMinute = 60

// whenFull is what a client is told that runs into a limit of requests in
// flight: nobody knows when one of them ends.
const whenFull = time.Second

// enter counts a request in.
func (a *account) enter(p *Pass, scope string, l *directory.Limits, now time.Time) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used = now
	if l.RequestsPerSecond > 0 {
		a.requests.fill(l.RequestsPerSecond, burst(l), now)
		if a.requests.left < 1 {
			after := a.requests.until(1, l.RequestsPerSecond)
			p.note(Standing{RequestsPerSecond, scope, l.RequestsPerSecond, 0, a.requests.until(burst(l), l.RequestsPerSecond)})
			return &Refusal{Limit: RequestsPerSecond, Scope: scope, After: after}
		}
	}
	if l.RequestsInFlight > 0 && a.inFlight >= l.RequestsInFlight {
		p.note(Standing{RequestsInFlight, scope, float64(l.RequestsInFlight), 0, whenFull})
		return &Refusal{Limit: RequestsInFlight, Scope: scope, After: whenFull}
	}
	if why := a.budgets(p, scope, l, now); why != nil {
		return why
	}
	if l.RequestsPerSecond > 0 {
		a.requests.left--
		p.note(Standing{RequestsPerSecond, scope, l.RequestsPerSecond, int64(a.requests.left), a.requests.until(burst(l), l.RequestsPerSecond)})
	}
	a.inFlight++
	if scope == ScopeTenant && a.inFlight == 1 {
		p.limiter.active.Add(1)
	}
	return nil
}

// budgets judges what was spent. A request in flight is not foreseen: what is
// spent beyond a budget is at most what was in flight when it was reached.
func (a *account) budgets(p *Pass, scope string, l *directory.Limits, now time.Time) *Refusal {
	if l.TokensPerDay == 0 && l.TokensPerMonth == 0 {
		return nil
	}
	a.spend(0, now)
	if !a.recall(p.limiter, scope) {
		return &Refusal{Limit: TokensPerDay, Scope: scope, After: whenFull, Unknown: true}
	}
	now = now.UTC()
	tomorrow := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC).Sub(now)
	next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Sub(now)
	if why := a.day.judge(p, TokensPerDay, scope, l.TokensPerDay, tomorrow); why != nil {
		return why
	}
	return a.month.judge(p, TokensPerMonth, scope, l.TokensPerMonth, next)
}

// judge refuses when all of a budget is spent; most 0 is no budget.
func (b *period) judge(p *Pass, name, scope string, most int64, reset time.Duration) *Refusal {
	if most == 0 {
		return nil
	}
	p.note(Standing{name, scope, float64(most), max(0, most-b.tokens), reset})
	if b.tokens >= most {
		return &Refusal{Limit: name, Scope: scope, After: reset}
	}
	return nil
}

// recall completes the day and the month that are counted. It reports whether what
// was spent before this process began is known.
func (a *account) recall(l *Limiter, scope string) bool {
	if a.day.whole && a.month.whole {
		return true
	}
	before := l.restored.Load()
	if before == nil {
		return false
	}
	of := before.tokens[a.id]
	if scope == ScopeTenant {
		of = before.tenants[a.id]
	}
	a.day.complete(of.days)
	a.month.complete(of.months)
	return true
}

// spend adds to the day and the month. A sum stays at the end of its range: a
// budget that is spent stays spent.
func (a *account) spend(tokens int64, now time.Time) {
	day := spent.DayOf(now)
	a.day.move(day)
	a.month.move(monthOf(day))
	a.day.tokens = meter.Add(a.day.tokens, tokens)
	a.month.tokens = meter.Add(a.month.tokens, tokens)
}

// reserve sets tokens aside, and the place of a stream. A request that is
// larger than the whole limit is let in when all of it is there. Budgets are judged
// again: a body may come for hours.
func (a *account) reserve(p *Pass, scope string, l *directory.Limits, tokens int64, stream bool, now time.Time) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stream && l.Streams > 0 && a.streams >= l.Streams {
		return noStream(p, scope, l)
	}
	if why := a.budgets(p, scope, l, now); why != nil {
		return why
	}
	if most := float64(l.TokensPerMinute); most > 0 {
		perSecond := most / secondsPerMinute
		a.tokens.fill(perSecond, most, now)
		need := min(float64(tokens), most)
		if a.tokens.left < need {
			after := a.tokens.until(need, perSecond)
			p.note(Standing{TokensPerMinute, scope, float64(l.TokensPerMinute), int64(max(0, a.tokens.left)), a.tokens.until(most, perSecond)})
			return &Refusal{Limit: TokensPerMinute, Scope: scope, After: after}
		}
		a.tokens.left -= float64(tokens)
		p.note(Standing{TokensPerMinute, scope, float64(l.TokensPerMinute), int64(max(0, a.tokens.left)), a.tokens.until(most, perSecond)})
	}
	if stream {
		a.streams++
	}
	return nil
}

// open takes the place of a stream.
func (a *account) open(p *Pass, scope string, l *directory.Limits) *Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.Streams > 0 && a.streams >= l.Streams {
		return noStream(p, scope, l)
	}
	a.streams++
	return nil
}

func noStream(p *Pass, scope string, l *directory.Limits) *Refusal {
	p.note(Standing{Streams, scope, float64(l.Streams), 0, whenFull})
	return &Refusal{Limit: Streams, Scope: scope, After: whenFull}
}

// shut gives the place of a stream back.
func (a *account) shut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams--
}

// settle puts what was really used in the place of what was reserved.
func (a *account) settle(l *directory.Limits, reserved, used int64, stream bool, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if most := float64(l.TokensPerMinute); most > 0 {
		a.tokens.fill(most/secondsPerMinute, most, now)
		a.tokens.left += float64(reserved) - float64(used)
	}
	if stream {
		a.streams--
	}
	a.spend(used, now)
	a.velocity.add(used, now)
	a.used = now
}

// withdraw undoes enter: the request did not begin.
func (a *account) withdraw(l *Limiter, scope string, limits *directory.Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limits.RequestsPerSecond > 0 {
		a.requests.left++
	}
	a.out(l, scope)
}

func (a *account) leave(l *Limiter, scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out(l, scope)
}

func (a *account) out(l *Limiter, scope string) {
	a.inFlight--
	if scope == ScopeTenant && a.inFlight == 0 {
		l.active.Add(-1)
	}
}
