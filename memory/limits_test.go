package memory

import (
	"context"
	"errors"
	"fmt"
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

// TestTurnsAtHandAreNotRecalled: what the conversation holds already is not put
// into it again.
func TestTurnsAtHandAreNotRecalled(t *testing.T) {
	b := newBed(t)
	var ids []string
	for i, session := range []string{"at-hand", "another"} {
		got, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{
			Bucket: "default", Memories: []Memory{{Content: fmt.Sprintf("Ada keeps bees on roof %d.", i), Session: session}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got[0].ID)
	}
	if got := b.recallWith(Recall{TopK: 8, MaxTokens: 800, Session: "at-hand"}); !slices.Equal(got.IDs, ids[1:]) {
		t.Errorf("recalled %v, want %v", got.IDs, ids[1:])
	}
	if got := b.recallWith(Recall{TopK: 8, MaxTokens: 800}); len(got.IDs) != 2 {
		t.Errorf("without a conversation: %v", got.IDs)
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

// TestCapturedTurnsWaitWithinABound: when 4,096 turns wait, further ones are
// dropped and counted, and nobody waits for them.
func TestCapturedTurnsWaitWithinABound(t *testing.T) {
	b := newBed(t)
	held, err := b.begin(context.Background(), "acme", "default") // so no turn is stored
	if err != nil {
		t.Fatal(err)
	}
	defer b.end(held)
	turn := Turn{Caller: Caller{Tenant: "acme"}, Bucket: "default", User: "Ada keeps bees."}
	kept := 0
	for b.Counts().CaptureDropped.Load() < 10 {
		if b.Capture(turn) {
			kept++
		}
		if kept > 2*4096 {
			t.Fatal("nothing is dropped")
		}
	}
	if kept < 4096 {
		t.Errorf("%d turns were taken", kept)
	}
}
