package gateway

import (
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"golang.org/x/sys/unix"
)

// sweepInterval is how often the sockets of requests in flight are looked at.
// A client that leaves is noticed after 20 ms on average and 40 at most, which
// leaves room under the promised 100 ms for a busy machine.
const sweepInterval = 40 * time.Millisecond

// watcher notices clients that leave while their request is in flight. Neither
// fasthttp nor a blocked read from the provider would: RequestCtx.Done fires
// only when the server stops. One goroutine polls all sockets of requests in
// flight with poll(2) for POLLRDHUP and never reads from them, so that a
// pipelined request stays where it is.
type watcher struct {
	// revoked reports whether a request may no longer go on. It is asked while
	// cuts says that such requests are ended.
	revoked func(*watched) bool
	cuts    func() bool

	mu      sync.Mutex
	entries []*watched
	poll    []unix.PollFd // scratch of sweep
	wake    chan struct{}
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// watched is one request's place in the watcher. It is part of the request and
// may be used again after remove.
type watched struct {
	fd   int
	at   int    // index in entries
	gone func() // called under the watcher's lock, maybe more than once; must not block
	// Whose call it is, for revoked; set before add.
	tenant, token, credential string
	cut                       bool // revoked said so; read it after remove
}

func newWatcher(cuts func() bool, revoked func(*watched) bool) *watcher {
	w := &watcher{cuts: cuts, revoked: revoked, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	w.done.Go(w.run)
	return w
}

// add begins to watch e.fd. The descriptor must stay open until remove.
func (w *watcher) add(e *watched) {
	w.mu.Lock()
	e.at = len(w.entries)
	w.entries = append(w.entries, e)
	first := e.at == 0
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// remove stops watching. When it returns, gone is not running and will not be
// called. What is not watched is left alone: its place may be another's.
func (w *watcher) remove(e *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.at >= len(w.entries) || w.entries[e.at] != e {
		return
	}
	last := w.entries[len(w.entries)-1]
	w.entries[e.at] = last
	last.at = e.at
	w.entries[len(w.entries)-1] = nil
	w.entries = w.entries[:len(w.entries)-1]
}

// wasCut reports whether revoked has ended e's request.
func (w *watcher) wasCut(e *watched) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return e.cut
}

// cancelAll treats every client as gone: the drain's last resort.
func (w *watcher) cancelAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		e.gone()
	}
}

func (w *watcher) close() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
}

// run sweeps while requests are in flight and sleeps while there are none.
func (w *watcher) run() {
	defer crash.Exit()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		if n++; n%cutInterval == 0 && w.cuts() {
			w.cutRevoked()
		}
		if w.sweep() > 0 {
			continue
		}
		tick.Stop()
		select {
		case <-w.stop:
			return
		case <-w.wake:
			tick.Reset(sweepInterval)
		}
	}
}

// sweep polls once and returns how many requests are in flight. The lock is
// held while it polls, without waiting, so that an entry's descriptor cannot
// be closed and given to another connection meanwhile.
func (w *watcher) sweep() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poll = w.poll[:0]
	for _, e := range w.entries {
		w.poll = append(w.poll, unix.PollFd{Fd: int32(e.fd), Events: unix.POLLRDHUP}) //nolint:gosec // descriptors are small
	}
	if n, err := unix.Poll(w.poll, 0); err != nil || n == 0 {
		return len(w.entries)
	}
	for i, p := range w.poll {
		if p.Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			w.entries[i].gone()
		}
	}
	return len(w.entries)
}

// cutInterval is how often running requests are asked about, in sweeps: with
// the replica's half second it keeps the promise of two.
const cutInterval = 12

// cutRevoked ends the requests that may no longer go on.
func (w *watcher) cutRevoked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.entries {
		if w.revoked(e) {
			e.cut = true
			e.gone()
		}
	}
}
