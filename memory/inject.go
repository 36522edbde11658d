package memory

import (
	"context"
	"slices"
	"time"

	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/memory/block"
	"github.com/ownkey/ownkey/wire"
)

// Recall is what a call wants to have recalled.
type Recall struct {
	Tenant    string
	Token     string // of whoever asks
	Buckets   []string
	Question  wire.Text
	Session   string // of the conversation at hand; see [Session]
	TopK      int
	MaxTokens int // of the whole block
	Timeout   time.Duration
	Dry       bool // as a question's
}

// Recalled is what a recall gave.
type Recalled struct {
	// Block is the text to be put in; empty when there is nothing worth it. It
	// is the caller's.
	Block []byte
	// IDs are those of the memories in the block, in its order.
	IDs []string
	// Tokens is the block's size, as estimated.
	Tokens   int
	BucketID string
	// Billable: it ran, and was not answered from what was asked a moment ago.
	Billable bool
}

// floor is the least share of its bucket's best score that a hit may have: what
// is far behind the best is noise (memory-research: a strong reader gains from
// more, a small one loses).
const floor = .35

// leastRelevance is the least that a bucket's best hit must have in common with
// the question. Below it nothing is injected: "hello" matches a greeting, and no
// greeting helps to answer it. On LoCoMo, 3 % of the questions lose their block
// by it, and of questions about somebody else's conversation 68 % get none; at
// .2 that is 1 % and 30 % (go run ./benchmarks/recall tokens).
const leastRelevance = .3

// Recall finds what bears on a question and writes the block. ErrTimeout means
// that it was not ready in time.
func (k *Keeper) Recall(r *Recall) (Recalled, error) {
	fault.At("memory.recall")
	began := time.Now()
	ctx, done := context.WithTimeout(k.background, r.Timeout)
	defer done()
	found, err := k.search(ctx, &Question{
		Tenant: r.Tenant, Token: r.Token, Buckets: r.Buckets, Text: string(r.Question.Reveal()), K: r.TopK, Session: r.Session,
	})
	if err != nil {
		return Recalled{}, err
	}
	if time.Since(began) > r.Timeout {
		return Recalled{}, ErrTimeout
	}
	if !r.Dry {
		k.remember(r.Tenant, &found)
	}
	out := Recalled{BucketID: found.BucketID, Billable: !found.Cached}
	k.writeBlock(&out, r, append(found.Pinned, worthwhile(found.Hits)...))
	return out, nil
}

// worthwhile keeps the hits that help to answer, in place.
func worthwhile(hits []Hit) []Hit {
	return slices.DeleteFunc(hits, func(h Hit) bool { return !h.worth })
}

// writeBlock writes as many memories as the budget has room for, each whole. A
// pinned one comes first and once.
func (k *Keeper) writeBlock(out *Recalled, r *Recall, hits []Hit) {
	marker := k.Marker(r.Tenant)
	left := r.MaxTokens - (block.Overhead(marker)+2)/3 // all ASCII
	var entries []block.Entry
	for i := range hits {
		h := &hits[i]
		if h.tokens > left || slices.Contains(out.IDs, h.Memory.ID) {
			continue
		}
		left -= h.tokens
		out.IDs = append(out.IDs, h.Memory.ID)
		entries = append(entries, entryOf(&h.Memory))
	}
	if len(entries) == 0 {
		return
	}
	out.Block = block.Append(nil, marker, entries)
	out.Tokens = Tokens(string(out.Block))
}

// entryOf is how a memory stands in a block.
func entryOf(m *Memory) block.Entry {
	by := m.Speaker
	if by == "" {
		by = m.Role
	}
	return block.Entry{ID: m.ID, Day: m.ObservedAt, By: by, Text: m.Content}
}

// entryTokens is what a memory costs in a block. It is counted when the memory
// is loaded, not when it is recalled.
func entryTokens(m *Memory) int {
	e := entryOf(m)
	return Tokens(string(block.AppendEntry(nil, &e)))
}

// Quote writes memories as a block for a model that we ask ourselves, each
// whole, as far as maxTokens go. It gives the block and its size.
func (k *Keeper) Quote(tenant string, memories []Memory, maxTokens int) (text string, tokens, quoted int) {
	marker := k.Marker(tenant)
	left := maxTokens - (block.Overhead(marker)+2)/3
	entries := make([]block.Entry, 0, len(memories))
	for i := range memories {
		n := entryTokens(&memories[i])
		if n > left {
			continue
		}
		left -= n
		entries = append(entries, entryOf(&memories[i]))
	}
	text = string(block.Append(nil, marker, entries))
	return text, Tokens(text), len(entries)
}
