package memory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/wire"
)

// asks recalls for a question with a budget.
func (b *bed) asks(question string, tokens int) Recalled {
	b.t.Helper()
	text := []byte(question)
	got, err := b.Recall(&Recall{Tenant: "acme", Buckets: []string{"default"}, Question: wire.NewText(&text), TopK: 12, MaxTokens: tokens, Timeout: time.Second})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// TestPassagesInABlock: of a long memory the passage that bears on the question is put
// in, with what stands around it if there is room, and its beginning if there is little;
// a worse memory that is shorter does not take its place.
func TestPassagesInABlock(t *testing.T) {
	b := newBed(t)
	var long strings.Builder
	for i := range 40 {
		fmt.Fprintf(&long, "Chapter %d says how the orchard was tended in year %d by the gardeners of the village. ", i, 1900+i)
		if i == 20 {
			long.WriteString("The cider press stands in the barn behind the mill. ")
		}
	}
	b.store("acme", "default", long.String(), "A press photo of the mayor.", "The tram leaves at nine.")
	const question = "Where does the cider press stand?"
	whole := b.asks(question, 4000)
	if block := string(whole.Block); !strings.Contains(block, "in the barn behind the mill") || !strings.Contains(block, "… ") || !strings.Contains(block, " …") || strings.Contains(block, "Chapter 0 ") || strings.Contains(block, "Chapter 39 ") {
		t.Errorf("a part with what stands around it: %s", block)
	}
	// The passage alone, then less than it takes.
	var sizes []int
	for _, tokens := range []int{360, 300, 250, 200, 150, 110} {
		got := b.asks(question, tokens)
		if got.Tokens > tokens {
			t.Errorf("%d tokens of %d", got.Tokens, tokens)
		}
		if len(got.IDs) > 0 && !slices.Equal(got.IDs[:1], whole.IDs[:1]) {
			t.Errorf("%d tokens: %v, want %v first", tokens, got.IDs, whole.IDs)
		}
		if len(got.IDs) == 0 && got.Reason != ReasonBudget {
			t.Errorf("%d tokens: %q", tokens, got.Reason)
		}
		sizes = append(sizes, len(got.Block))
	}
	if sizes[0] == 0 || sizes[len(sizes)-1] != 0 || !slices.IsSortedFunc(sizes, func(a, b int) int { return b - a }) || slices.Compact(sizes)[1] == 0 {
		t.Errorf("bytes of the blocks: %d", sizes)
	}
}

// TestPinnedMemoriesThatAreLong: as much of one goes in as there is room for.
func TestPinnedMemoriesThatAreLong(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	long := strings.Repeat("The house rules are long and everybody follows them. ", 100)
	if _, err := b.Store(t.Context(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{{Content: "First rule. " + long, Pinned: true}}}); err != nil {
		t.Fatal(err)
	}
	if got := b.asks("Who keeps bees?", 800); !strings.Contains(string(got.Block), "First rule.") || !strings.Contains(string(got.Block), "Ada keeps bees.") || got.Tokens > 800 {
		t.Errorf("%d tokens: %s", got.Tokens, got.Block)
	}
}
