package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

const (
	// idleLifetime is how long an unused connection is kept. It is below the
	// 60 s after which common load balancers close one (AWS ALB default, its
	// documentation 2026), so that we close first.
	idleLifetime = 50 * time.Second
	// checkAfter is the idle time after which the kernel is asked whether the
	// peer has closed a connection. Asking costs a system call; a request that
	// meets a connection which was closed sooner is sent again (see lost).
	checkAfter = time.Millisecond
	// maxIdlePerTarget bounds the connections kept for one target.
	maxIdlePerTarget = 1024
)

// Idle counts the idle connections of somebody at several targets, and bounds
// them as those of one target are. The zero value is ready; nil bounds nothing. It
// is safe for concurrent use.
type Idle struct{ n atomic.Int64 }

func (i *Idle) take() bool {
	if i == nil || i.n.Add(1) <= maxIdlePerTarget {
		return true
	}
	i.n.Add(-1)
	return false
}

func (i *Idle) give() {
	if i != nil {
		i.n.Add(-1)
	}
}

// Client owns the targets that attempts are made at, and closes connections
// that nobody has used for a while. It is safe for concurrent use.
type Client struct {
	proxies *Proxies

	mu      sync.Mutex
	targets map[*Target]struct{}
	stop    chan struct{}
	closer  sync.WaitGroup
}

// NewClient makes a client. Close it to release its connections.
func NewClient() *Client {
	c := &Client{stop: make(chan struct{}), targets: map[*Target]struct{}{}}
	c.closer.Go(c.closeIdle)
	return c
}

// Through makes the targets that are made from now on lead through proxies.
func (c *Client) Through(p *Proxies) { c.proxies = p }

// Close closes the idle connections and stops the client's goroutine.
// Attempts under way are not disturbed; their connections close as they end.
func (c *Client) Close() {
	close(c.stop)
	c.closer.Wait()
	c.each((*pool).shut)
}

// Retire forgets a target that no request begins with any more, and closes its
// idle connections. Attempts under way are not disturbed; their connections
// close as they end.
func (c *Client) Retire(t *Target) {
	c.mu.Lock()
	delete(c.targets, t)
	c.mu.Unlock()
	t.pool.shut()
}

// Idle counts the connections that wait for a request.
func (c *Client) Idle() int {
	n := 0
	c.each(func(p *pool) { n += p.len() })
	return n
}

// Targets counts those that were made and not retired.
func (c *Client) Targets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.targets)
}

func (c *Client) add(t *Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.targets[t] = struct{}{}
}

func (c *Client) each(f func(*pool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t := range c.targets {
		f(t.pool)
	}
}

func (c *Client) closeIdle() {
	defer crash.Exit()
	tick := time.NewTicker(idleLifetime / 10)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-tick.C:
			c.each(func(p *pool) { p.expire(now.Add(-idleLifetime)) })
		}
	}
}

// pool keeps the idle connections of one target, most recently used last.
type pool struct {
	mu     sync.Mutex
	idle   []*conn
	closed bool
}

func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// takeIdle gives the most recently used connection that is alive and not too
// old, or nil.
func (p *pool) takeIdle(now time.Time) *conn {
	for {
		c := p.pop()
		if c == nil || now.Before(c.until) && (now.Sub(c.idleAt) < checkAfter || c.alive()) {
			return c
		}
		c.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	c.counts.give()
	return c
}

// put takes back a connection whose last answer was read to its end.
func (p *pool) put(c *conn, now time.Time) {
	c.idleAt, c.reused = now, true
	p.mu.Lock()
	full := p.closed || len(p.idle) >= maxIdlePerTarget || !now.Before(c.until) || !c.counts.take()
	if !full {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if full {
		c.close()
	}
}

// expire closes the connections that have been idle since before the given
// time.
func (p *pool) expire(before time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleAt.Before(before) {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.mu.Unlock()
	for _, c := range old {
		c.counts.give()
		c.close()
	}
}

func (p *pool) shut() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.counts.give()
		c.close()
	}
}
