package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/wire"
)

// TestBoundsOfAMemory: each bound of docs/memory.md takes what is as large as
// it says, and names the member that is larger.
func TestBoundsOfAMemory(t *testing.T) {
	b := newBed(t)
	x := func(n int) string { return strings.Repeat("x", n) }
	facts := func(n, size int) (all []string) {
		for range n {
			all = append(all, x(size))
		}
		return all
	}
	nested := func(levels int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + "}")
	}
	for _, f := range []struct {
		field    string
		fits     Memory
		tooLarge Memory
	}{
		{"content", Memory{Content: x(100 << 10)}, Memory{Content: x(100<<10 + 1)}},
		{"metadata", Memory{Content: "a", Metadata: []byte(`{"a":"` + x(16<<10-8) + `"}`)}, Memory{Content: "a", Metadata: []byte(`{"a":"` + x(16<<10-7) + `"}`)}},
		{"facts", Memory{Content: "b", Facts: facts(64, 1)}, Memory{Content: "b", Facts: facts(65, 1)}},
		{"facts", Memory{Content: "c", Facts: facts(1, 2000)}, Memory{Content: "c", Facts: facts(1, 2001)}},
		{"role", Memory{Content: "d", Role: x(200)}, Memory{Content: "d", Role: x(201)}},
		{"speaker", Memory{Content: "e", Speaker: x(200)}, Memory{Content: "e", Speaker: x(201)}},
		{"session", Memory{Content: "f", Session: x(200)}, Memory{Content: "f", Session: x(201)}},
		{"id", Memory{Content: "g", ID: x(64)}, Memory{Content: "g", ID: x(65)}},
		{"metadata", Memory{Content: "h", Metadata: nested(100)}, Memory{Content: "h", Metadata: nested(101)}},
	} {
		if _, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{f.fits}}); err != nil {
			t.Errorf("%s as large as it may be: %v", f.field, err)
		}
		var invalid *InvalidError
		if _, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{f.tooLarge}}); !errors.As(err, &invalid) || !strings.HasPrefix(invalid.Field, f.field) {
			t.Errorf("%s, larger: %v", f.field, err)
		}
	}
	var invalid *InvalidError
	if _, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: make([]Memory, 1001)}); !errors.As(err, &invalid) || invalid.Field != "memories" {
		t.Errorf("1,001 memories in one call: %v", err)
	}
}

// recallWith recalls what bears on bees.
func (b *bed) recallWith(r Recall) Recalled {
	b.t.Helper()
	question := []byte("Who keeps bees on the roof?")
	r.Tenant, r.Buckets, r.Question, r.Timeout = "acme", []string{"default"}, wire.NewText(&question), time.Second
	got, err := b.Recall(&r)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// TestBlockIsBounded: a block has at most as many hits, and tokens, as the call
// allows; pinned memories come first.
func TestBlockIsBounded(t *testing.T) {
	b := newBed(t)
	for i := range 12 {
		b.store("acme", "default", fmt.Sprintf("Person number %d keeps bees on the roof of house %d.", i, i))
	}
	pinned, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{{Content: "Answer in French.", Pinned: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.recallWith(Recall{TopK: 3, MaxTokens: 4000}); len(got.IDs) != 4 || got.IDs[0] != pinned[0].ID {
		t.Errorf("three hits and a pinned memory: %v", got.IDs)
	}
	all := b.recallWith(Recall{TopK: 12, MaxTokens: 4000})
	some := b.recallWith(Recall{TopK: 12, MaxTokens: all.Tokens - 1})
	if len(all.IDs) < 6 || len(some.IDs) >= len(all.IDs) || len(some.IDs) == 0 || some.Tokens > all.Tokens-1 || some.IDs[0] != pinned[0].ID {
		t.Errorf("%d memories of %d tokens, and %d of %d", len(all.IDs), all.Tokens, len(some.IDs), some.Tokens)
	}
}

// TestTokensAreEstimated: a third of ASCII, half of the other bytes, rounded up.
func TestTokensAreEstimated(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a": 1, "abc": 1, "abcd": 2, "é": 1, "東京": 3, "abcé": 2, strings.Repeat("x", 3000): 1000} {
		if got := Tokens(text); got != want {
			t.Errorf("%.10q: %d, want %d", text, got, want)
		}
	}
}

// requestOf is a request that says some texts.
func requestOf(texts ...string) func(int) iter.Seq[wire.Text] {
	return func(int) iter.Seq[wire.Text] {
		return func(yield func(wire.Text) bool) {
			for _, text := range texts {
				if b := []byte(text); !yield(wire.NewText(&b)) {
					return
				}
			}
		}
	}
}

// TestTurnsAtHandAreNotRecalled: what the request says already is not put in, whatever
// its session; what was not found for that makes room, and the others are judged by
// themselves.
func TestTurnsAtHandAreNotRecalled(t *testing.T) {
	b := newBed(t)
	var ids []string
	for i := range 20 {
		ids = append(ids, b.store("acme", "default", fmt.Sprintf("Ada keeps bees on roof %d.", i))[0].ID)
	}
	if got := b.recallWith(Recall{TopK: 8, MaxTokens: 800}); len(got.IDs) != 8 || !got.Billable {
		t.Errorf("without a conversation: %v", got)
	}
	var turns []string
	for i := range 18 {
		turns = append(turns, fmt.Sprintf("I know:\n- ADA keeps   bees on roof %d; and so on", i))
	}
	turns = append(turns, "Ada keeps bees", "on roof 18.")
	got := b.recallWith(Recall{TopK: 8, MaxTokens: 800, Said: requestOf(turns...)})
	if slices.Sort(got.IDs); !slices.Equal(got.IDs, ids[18:]) && !slices.Equal(got.IDs, []string{ids[19], ids[18]}) {
		t.Errorf("recalled %v, want %v", got.IDs, ids[18:])
	}
	if got.Billable {
		t.Error("the same question a moment ago, and billed again")
	}
	if got := b.recallWith(Recall{TopK: 8, MaxTokens: 800, Said: requestOf(append(turns, "Ada keeps bees on roof 18. Ada keeps bees on roof 19.")...)}); len(got.IDs) != 0 || got.Reason != ReasonInRequest {
		t.Errorf("all was said: %v", got)
	}
	if got := b.recallWith(Recall{TopK: 8, MaxTokens: 800}); len(got.IDs) != 8 {
		t.Errorf("another conversation: %v", got.IDs)
	}
}

// TestWritersOfABucketWaitWithinABound: 64 writes wait for a bucket, the next
// one is refused, and writes to another bucket are in nobody's way.
func TestWritersOfABucketWaitWithinABound(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	held, err := b.begin(ctx, "acme", "default")
	if err != nil {
		t.Fatal(err)
	}
	store := func(bucket string) error {
		_, err := b.Store(ctx, &Caller{Tenant: "acme"}, &Write{Bucket: bucket, Dedup: DedupOff, Memories: []Memory{{Content: "Ada keeps bees."}}})
		return err
	}
	done := make(chan error, 64)
	for range 64 {
		go func() { done <- store("default") }()
	}
	b.eventually("64 writes wait", func() bool { return held.waiting.Load() == 64 })
	if err := store("default"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if err := store("other"); err != nil {
		t.Errorf("another bucket: %v", err)
	}
	b.end(held)
	for range 64 {
		if err := <-done; err != nil {
			t.Errorf("one that waited: %v", err)
		}
	}
}

// turnOf is a turn of a tenant's.
func turnOf(tenant, text string) Turn {
	return Turn{Caller: Caller{Tenant: tenant}, Bucket: "default", User: text}
}

// TestCapturedTurnsWaitWithinABound: when as many turns wait as a tenant may
// have, in number or in bytes, further ones are dropped and counted, and nobody
// waits for them. Another tenant's turns are stored meanwhile.
func TestCapturedTurnsWaitWithinABound(t *testing.T) {
	for size, most := range map[int]int{15: 2047, 1 << 10: 2047, MaxContentBytes: 32 << 20 / MaxContentBytes} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			b := newBed(t)
			held, err := b.begin(context.Background(), "acme", "default") // so no turn of the tenant is stored
			if err != nil {
				t.Fatal(err)
			}
			b.Capture(turnOf("acme", "Ada keeps bees."))
			b.eventually("the first is being stored", func() bool { return held.waiting.Load() == 1 })
			taken, blank := 0, strings.Repeat(" ", size) // nothing to store, so the test is quick
			for ; b.Capture(turnOf("acme", blank)); taken++ {
				if taken > most {
					t.Fatal("nothing is dropped")
				}
			}
			if taken != most || b.WaitingBytes() != most*size+15 || b.Counts().CaptureDropped.Load() != 1 {
				t.Errorf("%d turns wait with %d bytes, %d dropped", taken, b.WaitingBytes(), b.Counts().CaptureDropped.Load())
			}
			for n := range int64(3) {
				if !b.Capture(turnOf("quiet", "Ada keeps bees.")) {
					t.Fatal("another tenant's turn was dropped")
				}
				b.eventually("another tenant's turn is stored", func() bool { return b.Counts().Captured.Load() == n+1 })
			}
			b.end(held)
			b.eventually("all is stored", func() bool { return b.WaitingBytes() == 0 && b.Counts().Captured.Load() == 4 })
		})
	}
}

// TestTurnsThatAreTooLongAreNotCopied: what no memory can hold takes no room.
func TestTurnsThatAreTooLongAreNotCopied(t *testing.T) {
	b := newBed(t)
	for size, kept := range map[int]bool{MaxContentBytes: true, MaxContentBytes + 1: false, 8 << 20: false} {
		body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat("x", size) + `"}]}`)
		var c wire.Conversation
		if err := c.Read(wire.NewText(&body), wire.DialectChat, b.Marker("acme").Wire()); err != nil {
			t.Fatal(err)
		}
		turn, _ := TurnOf(&c)
		if (len(turn.User) == size) != kept || !kept && turn.User != "" {
			t.Errorf("of %d bytes %d are held", size, len(turn.User))
		}
		if turn.Caller.Tenant, turn.Bucket = "acme", "default"; !b.Capture(turn) {
			t.Errorf("%d bytes were dropped", size)
		}
	}
	if n := b.Counts().CaptureRefused.Load(); n != 2 {
		t.Errorf("%d counted as refused", n)
	}
}

// TestNoTurnCostsItsBatch: a turn that cannot be stored once its secrets are
// removed is left out and counted; those that wait with it are stored.
func TestNoTurnCostsItsBatch(t *testing.T) {
	const secret = "a pin: 1234 " // shorter than what takes its place
	for name, bad := range map[string]struct {
		text    string
		refused int64
	}{
		"grows too long": {strings.Repeat(secret, MaxContentBytes/len(secret)), 1},
		"is no text":     {"\xff\xfe", 0},
		"is empty":       {" ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			held, err := b.begin(context.Background(), "acme", "default") // so that the turns wait together
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"Ada keeps bees.", "Bea keeps ants.", bad.text, "Cyd keeps cats."} {
				if !b.Capture(turnOf("acme", text)) {
					t.Fatal("dropped")
				}
			}
			b.end(held)
			b.eventually("all is stored", func() bool { return b.WaitingBytes() == 0 })
			if c := b.Counts(); c.Captured.Load() != 3 || c.CaptureRefused.Load() != bad.refused {
				t.Errorf("%d are stored and %d counted as refused, want 3 and %d", c.Captured.Load(), c.CaptureRefused.Load(), bad.refused)
			}
			if got := b.find("acme", "default", "who keeps cats?"); len(got) == 0 {
				t.Error("the turn behind it is not found")
			}
		})
	}
}

// TestClosingStoresWhatWaits: more turns than one batch has are stored before
// the keeper closes, and none is taken afterwards.
func TestClosingStoresWhatWaits(t *testing.T) {
	b := newBed(t)
	held, err := b.begin(context.Background(), "acme", "default")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * MaxBatch / 2 {
		if !b.Capture(turnOf("acme", "Ada keeps bees.")) {
			t.Fatal("dropped")
		}
	}
	b.end(held)
	if dropped := b.waiting.close(time.Minute); dropped != 0 { // as Close does, which waits for less on a machine that is slow
		t.Errorf("%d were dropped", dropped)
	}
	if n := b.Counts().Captured.Load(); n != 3*MaxBatch/2 {
		t.Errorf("%d were stored", n)
	}
	if b.Capture(turnOf("acme", "Ada keeps bees.")) {
		t.Error("a turn was taken that nobody stores")
	}
}
