// Package load is both ends of what is measured: the clients that call, and
// the provider that answers, on one thread and one clock. So a call's way can be
// timed from either end, and costs the machine little: what it shares with the
// gateways is one core.
//
// The load is open: calls are due at random moments, whether or not those before
// have been answered, and all times count from when a call was due (Tene, "How
// NOT to measure latency"). Every answer is checked to the byte that matters,
// every stream to its end.
package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Target is a way to the provider.
type Target struct {
	Addr   netip.AddrPort
	Path   string
	Header []string // lines that end in CRLF, one set a tenant; the first is the most frequent one
	NoDone bool     // streams end without [DONE]; their last chunk is looked for all the same
}

// Plan is one run.
type Plan struct {
	Call
	// Rate is how many calls are due per second; zero for as many as come back:
	// every connection calls again as soon as it is answered.
	Rate float64
	// Connections at most, which is also how many calls can be open.
	Connections int
	During      time.Duration
	// WarmUp is the beginning in which calls count, but their times do not:
	// while connections are made, and a process wakes that has stood still.
	WarmUp time.Duration
	// Patience is how long calls are waited for at the end.
	Patience time.Duration
	// Abort is the share of calls whose client goes amid the stream, and Silent
	// of those that the provider never answers: there the client goes after
	// GiveUp.
	Abort, Silent float64
	GiveUp        time.Duration
	// Each is called about every second of the run, unless it is nil. Calls are
	// late by what it takes.
	Each func(since time.Duration)
	// Last is called at the end, while connections and streams are still open,
	// unless it is nil.
	Last func()
}

// Ends are the clients and the provider. They are for one goroutine.
type Ends struct {
	l        *loop
	provider *provider
	calls    *calls
}

// New starts a provider on a free port.
func New() (*Ends, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	e := &Ends{l: l, calls: &calls{}}
	e.provider, err = startProvider(l, e.calls)
	return e, err
}

// Provider is where the provider listens.
func (e *Ends) Provider() netip.AddrPort { return e.provider.addr }

// Serve lets the provider answer for a while, for what gateways ask at their start.
func (e *Ends) Serve(during time.Duration) error {
	until := e.l.now() + int64(during)
	return e.l.run(func() bool { return e.l.now() >= until })
}

// run is a plan at work.
type run struct {
	*Ends
	to        Target
	plan      Plan
	templates []*template
	zipf      *rand.Zipf
	result    *Result
	room      []byte
	idle      []*user
	users     int
	open      int
	closing   int     // calls whose client has gone, and the provider does not know
	queue     []int64 // when the calls were due that wait for a connection
	until     int64
	began     int64
	times     int64 // from when on the times of calls that are due count
	stopped   bool
	trouble   error

	firstWrong string
}

// Run carries a plan out. An error is the run's own, not the gateway's; why is
// the first answer that was not right.
func (e *Ends) Run(t Target, p Plan) (result *Result, why string, err error) {
	r := &run{Ends: e, to: t, plan: p, result: newResult(), room: make([]byte, 256<<10)}
	for _, header := range t.Header {
		r.templates = append(r.templates, p.template(t.Path, t.Addr.String(), header))
	}
	const skew = 1.1 // of Zipf's law: the first of 1,000 makes a sixth of the calls
	if len(t.Header) > 1 {
		r.zipf = rand.NewZipf(rand.New(rand.NewPCG(1, 2)), skew, 1, uint64(len(t.Header)-1))
	}
	r.provider.received = 0
	r.began = e.l.now()
	r.until = r.began + int64(p.During)
	r.times = r.began + int64(p.WarmUp)
	if p.Each != nil {
		e.l.at(r.began, &everySecond{r})
	}
	if p.Rate > 0 {
		e.l.at(r.began, &arrivals{r, r.began})
	} else {
		for range p.Connections {
			r.start(r.began)
		}
	}
	over := r.until + int64(p.Patience)
	err = e.l.run(func() bool {
		now := e.l.now()
		if now >= r.until && !r.stopped {
			r.stopped = true
			r.result.Took = time.Duration(now - r.began)
		}
		return r.trouble != nil || r.provider.broke != nil || r.stopped && r.open+r.closing+len(r.queue) == 0 || now >= over
	})
	if p.Last != nil {
		p.Last()
	}
	r.end()
	return r.result, r.firstWrong, errors.Join(err, r.trouble, r.provider.broke)
}

// arrivals makes calls due, at moments that know nothing of each other.
type arrivals struct {
	r    *run
	next int64
}

func (a *arrivals) ring() {
	if a.r.stopped || a.next >= a.r.until {
		return
	}
	if a.next >= a.r.times {
		a.r.result.Late.add(a.r.l.now() - a.next)
	}
	a.r.start(a.next)
	a.next += int64(rand.ExpFloat64() * float64(time.Second) / a.r.plan.Rate)
	a.r.l.at(a.next, a)
}

type everySecond struct{ r *run }

func (e *everySecond) ring() {
	now := e.r.l.now()
	if e.r.stopped {
		return
	}
	e.r.plan.Each(time.Duration(now - e.r.began))
	e.r.l.at(now+int64(time.Second), e)
}

// start begins a call on a connection that is free, or a new one; or it waits.
func (r *run) start(due int64) {
	var u *user
	switch {
	case len(r.idle) > 0:
		u = r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
	case r.users >= r.plan.Connections:
		r.queue = append(r.queue, due)
		return
	default:
		c, err := dial(r.l, r.to.Addr)
		if err != nil {
			r.trouble = err
			return
		}
		u = &user{r: r, conn: c}
		if err := r.l.watch(c.fd, u); err != nil {
			r.trouble = err
			return
		}
		r.users++
		r.result.Dialed++
	}
	r.send(u, due)
}

func (r *run) send(u *user, due int64) {
	c := r.calls.begin(&r.plan.Call, due)
	t, kind, leave := r.templates[0], byte(kindUnary), -1
	if r.zipf != nil {
		t = r.templates[r.zipf.Uint64()]
	}
	if r.plan.Chunks > 0 {
		kind = kindStream
	}
	switch luck := rand.Float64(); {
	case luck < r.plan.Silent:
		kind = kindSilent
		r.l.at(r.l.now()+int64(r.plan.GiveUp), &giveUp{u, c, c.id})
	case luck < r.plan.Silent+r.plan.Abort:
		leave = rand.IntN(max(1, r.plan.Chunks/2))
	}
	r.result.Sent++
	r.open++
	u.begin(c, t, kind, leave)
}

// giveUp ends a call that gets no answer.
type giveUp struct {
	u  *user
	c  *call
	id int
}

func (g *giveUp) ring() {
	if g.u.call == g.c && g.c.id == g.id && !g.u.closed {
		g.u.abort()
	}
}

// rest takes back a connection whose call has ended.
func (r *run) rest(u *user) {
	if len(r.queue) > 0 {
		due := r.queue[0]
		r.queue = r.queue[1:]
		r.send(u, due)
		return
	}
	if r.plan.Rate == 0 && !r.stopped {
		r.send(u, r.l.now())
		return
	}
	r.idle = append(r.idle, u)
}

// lose forgets a connection that is closed. Another takes its place.
func (r *run) lose(u *user) {
	r.users--
	for i, other := range r.idle {
		if other == u {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			break
		}
	}
	switch {
	case len(r.queue) > 0:
		due := r.queue[0]
		r.queue = r.queue[1:]
		r.start(due)
	case r.plan.Rate == 0 && !r.stopped:
		r.start(r.l.now())
	}
}

func (r *run) end() {
	r.stopped = true
	r.result.Unanswered = int64(r.open + len(r.queue))
	r.result.Unsent = int64(len(r.queue))
	r.result.Sent += r.result.Unsent
	r.result.Forwarded = r.provider.received
	for _, s := range r.l.socks {
		switch s := s.(type) {
		case *user:
			if s.r == r {
				s.close()
			}
		case *served: // some gateways never tell their provider that a client has gone
			if s.call != nil {
				s.call = nil
				s.gone()
			}
		}
	}
	r.l.alarms = r.l.alarms[:0]
}

// String says how it went, in a line.
func (r *Result) String() string {
	return fmt.Sprintf("%d sent, %d good, %d wrong, %d failed, %d aborted, %d unanswered, by status %v",
		r.Sent, r.Good, r.Wrong, r.Failed, r.Aborted, r.Unanswered, r.Statuses)
}
