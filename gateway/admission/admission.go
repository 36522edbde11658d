// Package admission decides whether a request may begin: by what its token and
// its tenant may use, and by the room that is left for all.
//
// Every request that was let in holds a [Pass] until it ends. Limits are those
// of this process: gateways that share a directory each count for themselves.
// Budgets are counted durably, by meter/spent, and read back at the start.
// Goroutines: one that looks for tokens whose spending runs away; Close ends it.
package admission

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/puzpuzpuz/xsync/v4"
)

// Names of limits, as headers and messages have them.
const (
	RequestsPerSecond = "requests_per_second"
	TokensPerMinute   = "tokens_per_minute"
	RequestsInFlight  = "requests_in_flight"
	Streams           = "streams"
	BodyBytes         = "body_bytes"
	TokensPerDay      = "tokens_per_day"
	TokensPerMonth    = "tokens_per_month"
)

// Whose limit it is.
const (
	ScopeToken   = "token"
	ScopeTenant  = "tenant"
	ScopeGateway = "gateway"
)

// Refusal says which limit a request would exceed.
type Refusal struct {
	Limit string
	Scope string
	// After is how long it takes, at the least, until the same request would be
	// let in; zero where nobody can know.
	After time.Duration
	// Unknown: what was spent is not read back yet, so no budget can be judged.
	Unknown bool
}

// Error names the limit.
func (r *Refusal) Error() string { return r.Scope + " limit " + r.Limit }

// Options of a limiter.
type Options struct {
	// Settings are those of the start; Apply changes them.
	Settings
	// MaxBufferedBytes bounds the memory for what is held of all tenants together;
	// no tenant may have more of it than stays free.
	MaxBufferedBytes int64
	// UsableToken and UsableTenant report whether there is still such a one: what
	// is known of others is forgotten.
	UsableToken  func(id string, now time.Time) bool
	UsableTenant func(id string) bool
}

// Settings are what Apply may change while requests are let in.
type Settings struct {
	// MaxInFlight bounds the requests in flight, of all tenants together.
	MaxInFlight int64
	// QueueTime is how long a request waits for room, at most; zero refuses it
	// at once.
	QueueTime time.Duration
	// Token and Tenant are the limits of those that have none of their own.
	Token, Tenant directory.Limits
	Runaway       Runaway
}

// Limiter lets requests in. It is safe for concurrent use.
type Limiter struct {
	o       Options
	now     atomic.Pointer[Settings]
	slots   slots
	room    room
	heads   Holder
	tokens  *xsync.Map[string, *account]
	tenants *xsync.Map[string, *account]
	active  atomic.Int64 // tenants with a request in flight

	restored atomic.Pointer[restored] // nil until Restore

	stop chan struct{}
	done sync.WaitGroup
}

// New makes a limiter. Budgets are refused until Restore was called.
func New(o Options) *Limiter {
	l := &Limiter{
		o: o, tokens: xsync.NewMap[string, *account](), tenants: xsync.NewMap[string, *account](), stop: make(chan struct{}),
	}
	l.room.max, l.heads.room = o.MaxBufferedBytes, &l.room
	l.Apply(o.Settings)
	l.done.Go(l.watch)
	return l
}

// Apply puts other settings in place, for requests that begin from now on. What
// is in flight beyond a lower bound stays to its end.
func (l *Limiter) Apply(s Settings) {
	l.now.Store(&s)
	l.slots.resize(s.MaxInFlight)
}

// Settings are those that count now.
func (l *Limiter) Settings() Settings { return *l.now.Load() }

// InFlight counts the requests that have a place.
func (l *Limiter) InFlight() int64 { return l.slots.taken.Load() }

// Held is how many bytes are held of all tenants.
func (l *Limiter) Held() int64 { return l.room.used.Load() }

// Heads holds large heads until their tenants are known.
func (l *Limiter) Heads() *Holder { return &l.heads }

// Close ends the limiter's goroutine.
func (l *Limiter) Close() {
	close(l.stop)
	l.done.Wait()
}

// restored is what was spent before this process began, of each token and tenant:
// months, and of days those that may still be judged.
type restored struct{ tokens, tenants map[string]spentBefore }

type spentBefore struct{ days, months []span }

// Restore tells what was spent before, up to a month back. Rows of what this
// process has counted itself must not be among them. now may be wrong, as clocks
// are while a machine starts: what the day of the last row and the one before have
// spent is kept as well.
func (l *Limiter) Restore(rows []spent.Spent, now time.Time) {
	r := &restored{map[string]spentBefore{}, map[string]spentBefore{}}
	today, last := spent.DayOf(now), int64(0)
	for i := range rows {
		last = max(last, rows[i].Day)
	}
	add := func(to map[string]spentBefore, id string, s *spent.Spent) {
		b := to[id]
		b.months = addSpan(b.months, monthOf(s.Day), s.Tokens)
		if s.Day == today || s.Day >= last-1 {
			b.days = addSpan(b.days, s.Day, s.Tokens)
		}
		to[id] = b
	}
	for i := range rows {
		add(r.tokens, rows[i].Token, &rows[i])
		add(r.tenants, rows[i].Tenant, &rows[i])
	}
	l.restored.Store(r)
}

// addSpan adds to one of a few spans.
func addSpan(spans []span, at, tokens int64) []span {
	for i := range spans {
		if spans[i].at == at {
			spans[i].tokens = meter.Add(spans[i].tokens, tokens)
			return spans
		}
	}
	return append(spans, span{at: at, tokens: tokens})
}

// Pass is a request that was let in. The zero value is ready; it is used by one
// goroutine.
type Pass struct {
	limiter         *Limiter
	token, tenant   *account
	tokenL, tenantL directory.Limits
	reserved        int64
	entered, stream bool
	standings       [8]Standing // four of a token, four of a tenant
	standing        int
}

// Standing is how much of a limit is left.
type Standing struct {
	Limit, Scope string
	// Most is the limit as it was set: of requests a second, it may be a fraction.
	Most float64
	Left int64
	// Reset is how long it takes until all of it is there again.
	Reset time.Duration
}

// Standings are those of the limits that were looked at. They belong to the
// pass.
func (p *Pass) Standings() []Standing { return p.standings[:p.standing] }

// note keeps the standing of a limit, in place of an earlier one.
func (p *Pass) note(s Standing) {
	for i := range p.standing {
		if was := &p.standings[i]; was.Limit == s.Limit && was.Scope == s.Scope {
			*was = s
			return
		}
	}
	if p.standing < len(p.standings) {
		p.standings[p.standing] = s
		p.standing++
	}
}

// Enter lets a request of c in, or says why not. It may wait for room, up to
// Settings.QueueTime. Leave must be called in either case.
func (l *Limiter) Enter(p *Pass, c *directory.Caller, now time.Time) *Refusal {
	fault.At("admission.enter")
	*p = Pass{limiter: l, token: l.find(l.tokens, c.Token.ID, c.Tenant.ID), tenant: l.find(l.tenants, c.Tenant.ID, "")}
	defaults := l.now.Load()
	p.tokenL, p.tenantL = c.Token.Limits.Or(defaults.Token), c.Tenant.Limits.Or(defaults.Tenant)
	if why := p.token.enter(p, ScopeToken, &p.tokenL, now); why != nil {
		return why
	}
	why := p.tenant.enter(p, ScopeTenant, &p.tenantL, now)
	if why == nil {
		if why = l.slots.take(l, p.tenant); why == nil {
			p.entered = true
			return nil
		}
		p.tenant.withdraw(l, ScopeTenant, &p.tenantL)
	}
	p.token.withdraw(l, ScopeToken, &p.tokenL)
	return why
}

// Body says whether a body of n bytes may be read.
func (p *Pass) Body(n int64) *Refusal {
	switch {
	case p.tokenL.BodyBytes > 0 && n > p.tokenL.BodyBytes:
		return &Refusal{Limit: BodyBytes, Scope: ScopeToken}
	case p.tenantL.BodyBytes > 0 && n > p.tenantL.BodyBytes:
		return &Refusal{Limit: BodyBytes, Scope: ScopeTenant}
	}
	return nil
}

// MaxBody is the smallest limit of a body that the caller has; zero is none.
func (p *Pass) MaxBody() int64 {
	if p.tokenL.BodyBytes == 0 || p.tenantL.BodyBytes > 0 && p.tenantL.BodyBytes < p.tokenL.BodyBytes {
		return p.tenantL.BodyBytes
	}
	return p.tokenL.BodyBytes
}

// Holder is what the caller's tenant holds. It stays valid when the pass ends.
func (p *Pass) Holder() *Holder { return &p.tenant.holder }

// Reserve sets tokens aside, as estimated, and the place of a stream.
func (p *Pass) Reserve(tokens int64, stream bool, now time.Time) *Refusal {
	if why := p.token.reserve(p, ScopeToken, &p.tokenL, tokens, stream, now); why != nil {
		return why
	}
	if why := p.tenant.reserve(p, ScopeTenant, &p.tenantL, tokens, stream, now); why != nil {
		p.token.settle(&p.tokenL, tokens, 0, stream, now) // as if it had never been
		return why
	}
	p.reserved, p.stream = tokens, stream
	return nil
}

// Stream takes the place of a stream, for a request whose answer turns out to be
// one although Reserve has not heard of it.
func (p *Pass) Stream() *Refusal {
	if p.stream {
		return nil
	}
	if why := p.token.open(p, ScopeToken, &p.tokenL); why != nil {
		return why
	}
	if why := p.tenant.open(p, ScopeTenant, &p.tenantL); why != nil {
		p.token.shut()
		return why
	}
	p.stream = true
	return nil
}

// Leave ends the pass: tokens is what was really used.
func (p *Pass) Leave(tokens int64, now time.Time) {
	if !p.entered {
		return
	}
	l := p.limiter
	p.token.settle(&p.tokenL, p.reserved, tokens, p.stream, now)
	p.tenant.settle(&p.tenantL, p.reserved, tokens, p.stream, now)
	p.token.leave(l, ScopeToken)
	p.tenant.leave(l, ScopeTenant)
	l.slots.give()
	p.entered = false
}
