package memory

import (
	"testing"
	"time"
)

// TestClosingDoesNotWaitForEver: a backlog that takes longer than the end of the
// gateway may is let go of and counted; the batch that has begun is not.
func TestClosingDoesNotWaitForEver(t *testing.T) {
	var w waitingTurns
	const turns = MaxBatch
	for range turns {
		if _, ok := w.add(Turn{Caller: Caller{Tenant: "acme"}, User: "x"}); !ok {
			t.Fatal("no room")
		}
	}
	begun := w.next("acme", nil)
	closed := make(chan int, 1)
	go func() { closed <- w.close(time.Millisecond) }()
	for waits := true; waits; {
		w.mu.Lock()
		waits = len(w.of["acme"].queue) > 0
		w.mu.Unlock()
	}
	select {
	case <-closed:
		t.Fatal("closed while a batch was being stored")
	default:
	}
	if rest := w.next("acme", begun); len(rest) != 0 {
		t.Errorf("%d turns are left", len(rest))
	}
	if dropped := <-closed; dropped != turns-len(begun) || dropped == 0 {
		t.Errorf("%d dropped of %d, %d had begun", dropped, turns, len(begun))
	}
}
