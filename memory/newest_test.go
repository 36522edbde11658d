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

// TestColdBucketsAnswerInTime: while a large bucket is loaded, a recall whose time is
// half over is answered from its newest memories, is not billed, and is not remembered;
// the next one has all.
func TestColdBucketsAnswerInTime(t *testing.T) {
	b := newBed(t)
	texts := []string{"The oldest key opens the lighthouse."}
	for i := range 3 * pageMemories {
		texts = append(texts, fmt.Sprintf("Number %d of the notes about the ferry.", i))
	}
	for part := range slices.Chunk(append(texts, "The newest key opens the boathouse."), MaxBatch) {
		b.store("acme", "default", part...)
	}
	// A load that has the newest and not yet the rest.
	cold := b.bucket(bucketKey{"acme", "default"})
	b.drop(cold)
	l := &loading{part: make(chan struct{}), done: make(chan struct{})}
	cold.loading = l
	if err := b.loadNewest(t.Context(), cold, l.part); err != nil {
		t.Fatal(err)
	}
	ask := func(question string, wait time.Duration) (Recalled, error) {
		text := []byte(question)
		return b.Recall(&Recall{Tenant: "acme", Buckets: []string{"default"}, Question: wire.NewText(&text), TopK: 8, MaxTokens: 800, Timeout: wait})
	}
	got, err := ask("What does the newest key open?", 2*time.Second)
	if err != nil || !strings.Contains(string(got.Block), "boathouse") || strings.Contains(string(got.Block), "lighthouse") || got.Billable {
		t.Errorf("a part: %+v %v", got, err)
	}
	soon, done := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer done()
	if _, err := b.Search(soon, &Question{Tenant: "acme", Buckets: []string{"default"}, Text: "key", K: 8}); !errors.Is(err, ErrTimeout) {
		t.Errorf("a search that wants all: %v", err)
	}
	if err := b.load(t.Context(), cold); err != nil {
		t.Fatal(err)
	}
	cold.forgetNewest()
	cold.loading = nil
	close(l.done)
	for range 2 { // the first is billed though the same was asked of a part
		if got, err = ask("What does the oldest key open?", 10*time.Second); err != nil || !strings.Contains(string(got.Block), "lighthouse") {
			t.Errorf("all: %s %v", got.Block, err)
		}
	}
	if got, err = ask("What does the newest key open?", 10*time.Second); err != nil || !got.Billable {
		t.Errorf("the question of a part, of all: %+v %v", got, err)
	}
	if held, measured := b.ResidentBytes(), b.bucket(bucketKey{"acme", "default"}).resident.Load().measured.Load(); held > measured+64<<10 {
		t.Errorf("%d bytes are held, of a bucket of %d", held, measured)
	}
}
