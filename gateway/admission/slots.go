package admission

import (
	"sync"
	"sync/atomic"
	"time"
)

// slots are the places of all requests in flight. While there is room, taking
// one is a compare-and-swap. Without, requests wait, and each place that falls
// free goes to the next tenant in turn, so that a tenant's wait depends on how
// many tenants wait and not on how many requests another one sends.
type slots struct {
	max     atomic.Int64
	taken   atomic.Int64
	waiting atomic.Int64

	mu    sync.Mutex
	turns []*line // of tenants with requests that wait; the first one's turn is next
}

// line are the requests of a tenant that wait, oldest first.
type line struct {
	tenant *account
	queue  []*wait
}

// wait is a request that waits. granted is closed when it has a place.
type wait struct {
	granted chan struct{}
	over    bool // gave up, or has a place; guarded by slots.mu
}

// crowded is when a tenant may no longer take more than its share: the last
// quarter is kept for the others.
func crowded(n, most int64) bool { return n >= most-most/4 }

// resize changes how many places there are. Requests that wait get those that
// are new; of places that are gone, each goes when its request ends.
func (s *slots) resize(most int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max.Store(most)
	s.dispatch()
}

// take gets a place for a tenant's request, which its account counts already.
func (s *slots) take(l *Limiter, tenant *account) *Refusal {
	n, most := s.taken.Load(), s.max.Load()
	if crowded(n, most) && tenant.beyondShare(most/(max(1, l.active.Load())+1)) {
		return &Refusal{Limit: RequestsInFlight, Scope: ScopeGateway, After: whenFull}
	}
	for s.waiting.Load() == 0 && n < most {
		if s.taken.CompareAndSwap(n, n+1) {
			return nil
		}
		n = s.taken.Load()
	}
	patience := l.now.Load().QueueTime
	if patience <= 0 {
		return &Refusal{Limit: RequestsInFlight, Scope: ScopeGateway, After: whenFull}
	}
	return s.wait(tenant, patience)
}

// beyondShare reports whether a tenant has more than share in flight.
func (a *account) beyondShare(share int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inFlight > max(1, share)
}

func (s *slots) wait(tenant *account, most time.Duration) *Refusal {
	w := &wait{granted: make(chan struct{})}
	s.mu.Lock()
	s.waiting.Add(1)
	s.lineOf(tenant).add(w)
	s.dispatch() // what was given back before waiting was counted
	s.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.granted:
		return nil
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.over {
		return nil // just now
	}
	w.over = true
	s.waiting.Add(-1)
	return &Refusal{Limit: RequestsInFlight, Scope: ScopeGateway, After: whenFull}
}

func (l *line) add(w *wait) { l.queue = append(l.queue, w) }

func (s *slots) lineOf(tenant *account) *line {
	for _, l := range s.turns {
		if l.tenant == tenant {
			return l
		}
	}
	l := &line{tenant: tenant}
	s.turns = append(s.turns, l)
	return l
}

// give returns a place.
func (s *slots) give() {
	s.taken.Add(-1)
	if s.waiting.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dispatch()
}

// dispatch hands out the places that are free. The caller holds mu.
func (s *slots) dispatch() {
	for len(s.turns) > 0 {
		n := s.taken.Load()
		if n >= s.max.Load() {
			return
		}
		if s.taken.CompareAndSwap(n, n+1) && !s.next() {
			s.taken.Add(-1) // nobody waits any more
		}
	}
}

// next gives a place to the tenant whose turn it is.
func (s *slots) next() bool {
	for len(s.turns) > 0 {
		l := s.turns[0]
		s.turns = s.turns[1:]
		for len(l.queue) > 0 {
			w := l.queue[0]
			l.queue = l.queue[1:]
			if w.over {
				continue
			}
			w.over = true
			s.waiting.Add(-1)
			close(w.granted)
			if len(l.queue) > 0 {
				s.turns = append(s.turns, l)
			}
			return true
		}
	}
	return false
}
