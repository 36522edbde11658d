package memory

import (
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// Bounds of the captured turns that wait to be stored. A tenant may have at most
// as much waiting as stays free for all others: one alone half of it, two a
// third each, and however many there are, there is room for one more. Turns
// beyond that are dropped and counted: a disk that cannot keep up must not delay
// an answer.
const (
	maxTurnsWaiting     = 4096
	maxTurnBytesWaiting = 64 << 20
	// maxTurnBatchBytes bounds what is stored at once, so that the tenants take
	// turns at the database.
	maxTurnBatchBytes = 1 << 20
	// turnsCloseTime is how long the end of the gateway waits for turns to be
	// stored: one tenant can have half of maxTurnBytesWaiting waiting, which takes
	// a minute on a slow machine.
	turnsCloseTime = 2 * time.Second
)

// waitingTurns are the captured turns that are not stored yet, by tenant. It is
// safe for concurrent use.
type waitingTurns struct {
	mu       sync.Mutex // guards what follows
	of       map[string]*tenantTurns
	all      burden
	closed   bool
	late     bool           // the time to store what waits is over
	finished sync.WaitGroup // of tenants
}

// burden is how much waits, with what is being stored.
type burden struct{ turns, bytes int }

func (b *burden) add(turns, bytes int) { b.turns, b.bytes = b.turns+turns, b.bytes+bytes }

type tenantTurns struct {
	queue []Turn
	burden
}

func (t *Turn) bytes() int { return len(t.User) + len(t.Assistant) }

// add takes a turn in, if its tenant has room. It reports whether the tenant had
// none before: the caller then sees to it that they are stored.
func (w *waitingTurns) add(t Turn) (began, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	own := w.of[t.Caller.Tenant]
	if own == nil {
		own = &tenantTurns{}
	}
	n := t.bytes()
	if w.closed || own.turns+1 > maxTurnsWaiting-w.all.turns-1 || own.bytes+n > maxTurnBytesWaiting-w.all.bytes-n {
		return false, false
	}
	if began = w.of[t.Caller.Tenant] == nil; began {
		if w.of == nil {
			w.of = map[string]*tenantTurns{}
		}
		w.of[t.Caller.Tenant] = own
		w.finished.Add(1)
	}
	own.queue = append(own.queue, t)
	own.add(1, n)
	w.all.add(1, n)
	return began, true
}

// next gives back the room of the tenant's last batch, and gives another. An
// empty one is the last.
func (w *waitingTurns) next(tenant string, stored []Turn) []Turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	own := w.of[tenant]
	for i := range stored {
		own.add(-1, -stored[i].bytes())
		w.all.add(-1, -stored[i].bytes())
	}
	clear(stored) // their texts, which the queue's array would keep
	n := 0
	for size := 0; n < len(own.queue) && n < MaxBatch/2; n++ {
		if size += own.queue[n].bytes(); size > maxTurnBatchBytes && n > 0 {
			break
		}
	}
	batch := own.queue[:n:n]
	own.queue = own.queue[n:]
	if n == 0 {
		delete(w.of, tenant)
		w.finished.Done()
	}
	return batch
}

// close takes nothing more and waits until all that waits is stored, for so long
// at most. What waits then is let go of; dropped is how many turns that were. Of a
// batch that has begun, what was looked through by then is stored.
func (w *waitingTurns) close(most time.Duration) (dropped int) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	stored := make(chan struct{})
	go func() {
		defer crash.Exit()
		w.finished.Wait()
		close(stored)
	}()
	select {
	case <-stored:
		return 0
	case <-time.After(most):
	}
	w.mu.Lock()
	w.late = true
	for _, own := range w.of {
		dropped += len(own.queue)
		own.queue = nil
	}
	w.mu.Unlock()
	<-stored
	return dropped
}

// Bounds of a rest behind a turn: it is four times as long as the work was, so that
// a tenant's turns take a fifth of a core. Turns of a chat take less than a
// millisecond, and wait for nothing.
const (
	leastRest = 4 * time.Millisecond
	mostRest  = 250 * time.Millisecond
)

// rest lets calls have the processor behind work on a turn, unless the gateway
// waits for its end.
func (w *waitingTurns) rest(worked time.Duration) {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if pause := min(mostRest, 4*worked); pause >= leastRest && !closed {
		time.Sleep(pause)
	}
}

// over reports whether the time to store what waits is over.
func (w *waitingTurns) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late
}

// bytes is how much text waits.
func (w *waitingTurns) bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.bytes
}
