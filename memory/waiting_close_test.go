package memory

import (
	"strings"
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

// TestEndBreaksABatchOff: looking through a batch takes seconds where a machine
// is busy; the end of the gateway waits for the turn that is being looked
// through, and no other.
func TestEndBreaksABatchOff(t *testing.T) {
	b := newBed(t)
	b.computing.Lock("acme") // so that the first turn of a batch takes long
	for range 10 {
		if !b.Capture(turnOf("acme", "Ada keeps bees.")) {
			t.Fatal("dropped")
		}
	}
	closed := make(chan struct{})
	go func() { b.Close(); close(closed) }()
	b.eventually("the time is over", b.waiting.over)
	b.computing.Unlock()
	<-closed
	if c := b.Counts(); c.Captured.Load() != 1 || c.CaptureDropped.Load() != 9 {
		t.Errorf("%d are stored and %d dropped, want 1 and 9", c.Captured.Load(), c.CaptureDropped.Load())
	}
}

// TestLongWorkRests: a tenant whose turns take long leaves most of a core to
// others, and nobody waits for that when the gateway ends.
func TestLongWorkRests(t *testing.T) {
	var w waitingTurns
	rested := func(worked time.Duration) time.Duration {
		began := time.Now()
		w.rest(worked)
		return time.Since(began)
	}
	if d := rested(20 * time.Millisecond); d < 80*time.Millisecond {
		t.Errorf("behind 20 ms it rested for %v, want 80 ms", d)
	}
	w.closed = true
	if d := rested(10 * time.Second); d >= mostRest {
		t.Errorf("at the end it rested for %v", d)
	}
}

// TestLongContentsGoByTurns: a long content is hashed when no other tenant's is,
// and whoever waits for that keeps nobody from storing.
func TestLongContentsGoByTurns(t *testing.T) {
	b := newBed(t)
	b.computing.Lock("another")
	long := make(chan error, 1)
	go func() {
		_, err := b.Store(t.Context(), &Caller{Tenant: "acme"}, &Write{Bucket: "b", Memories: []Memory{{Content: strings.Repeat("long ", longContent/4)}}})
		long <- err
	}()
	for range 20 {
		if _, err := b.Store(t.Context(), &Caller{Tenant: "acme"}, &Write{Bucket: "b", Memories: []Memory{{Content: "short"}}}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-long:
		t.Fatalf("it was stored while another tenant's was looked through: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	b.computing.Unlock()
	if err := <-long; err != nil {
		t.Error(err)
	}
}
