package memory

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/memory/block"
	"github.com/ownkey/ownkey/wire"
)

// Recall is what a call wants to have recalled.
type Recall struct {
	Tenant   string
	Token    string // of whoever asks
	Buckets  []string
	Question wire.Text
	Own      int       // where in it the user's own words begin
	Before   wire.Text // the user's turn before it; the zero Text for none
	AsOf     time.Time // what was so then; zero for now, and what was so before
	// Said gives what the request says already, up to some bytes, the newest first: it is
	// not put in again. Nil is nothing.
	Said      func(most int) iter.Seq[wire.Text]
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
	// Reason says why there is no block; empty if there is one.
	Reason Reason
	// Billable: it ran, was not answered from what was asked a moment ago, and did not
	// fail by a bound of ours.
	Billable bool
}

// Reason says why nothing was recalled, in the words of Ownkey-Memory-Reason.
type Reason string

// The reasons.
const (
	ReasonNoMatch        Reason = "no-match"           // nothing has a word of what is asked
	ReasonBelowThreshold Reason = "below-threshold"    // what has some is too little
	ReasonBudget         Reason = "budget"             // the best has no room in the block
	ReasonInRequest      Reason = "already-in-request" // the request says it already
)

// floor is the least share of its bucket's best score that a hit may have: what
// is far behind the best is noise (memory-research: a strong reader gains from
// more, a small one loses).
const floor = .35

// leastRelevance is the least probability that a bucket knows of what is asked. Below
// it nothing is injected: "hello" matches a greeting, and no greeting helps to answer
// it. The gate that gives it is fitted so that the half keeps nine of ten memories that
// answer a question (go run ./benchmarks/recall tune).
const leastRelevance = .5

// Recall finds what bears on a question and writes the block. ErrTimeout means
// that it was not ready in time.
func (k *Keeper) Recall(r *Recall) (Recalled, error) {
	fault.At("memory.recall")
	began := time.Now()
	ctx, done := context.WithTimeout(k.background, r.Timeout)
	defer done()
	found, err := k.search(ctx, &Question{
		Tenant: r.Tenant, Token: r.Token, Buckets: r.Buckets, Text: string(r.Question.Reveal()), Own: r.Own, Before: string(r.Before.Reveal()), K: r.TopK, AsOf: r.AsOf, Closed: true, Part: true, Said: r.Said,
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
	out := Recalled{BucketID: found.BucketID, Billable: !found.Cached && !found.Part}
	k.writeBlock(&out, r, &found)
	return out, nil
}

// excerpt is a part of a memory that is put into a block.
type excerpt struct {
	hit      *Hit
	from, to int // passages
	tokens   int
	cut      string // the beginning of the one passage, of which the rest has no room
}

// leastCut is the least that is put in of a passage, in tokens: a sentence.
const leastCut = 60

// writeBlock writes as many memories as the budget has room for, by their passages:
// pinned ones first, and each once. Of the first that has no room its beginning goes
// in, and nothing behind it: a worse one is no substitute. What is left without one
// goes to what stands around the best passages.
func (k *Keeper) writeBlock(out *Recalled, r *Recall, found *Found) {
	marker := k.Marker(r.Tenant)
	left := r.MaxTokens - (block.Overhead(marker)+2)/3 // all ASCII
	var all []excerpt
	for i := range found.Pinned {
		e := found.Pinned[i].pinned(left)
		if e.tokens <= left {
			left -= e.tokens
			all = append(all, e)
		}
	}
	full := false
	for i := range found.Hits {
		h := &found.Hits[i]
		if !h.worth || slices.ContainsFunc(all, func(e excerpt) bool { return e.hit.Memory.ID == h.Memory.ID }) {
			continue
		}
		e := excerpt{hit: h, from: h.passage, to: h.passage + 1, tokens: h.item.tokens(h.passage)}
		if full = e.tokens > left; full {
			if e.shorten(left) {
				all = append(all, e)
			}
			left = 0
			break
		}
		left -= e.tokens
		all = append(all, e)
	}
	if len(all) == 0 {
		out.Reason = reasonOf(found, full)
		out.Billable = out.Billable && out.Reason != ReasonBudget
		return
	}
	for i := range all {
		left -= all[i].widen(left)
	}
	newestFirst(all)
	entries := make([]block.Entry, 0, len(all))
	for i := range all {
		out.IDs = append(out.IDs, all[i].hit.Memory.ID)
		entries = append(entries, all[i].entry())
	}
	out.Block = block.Append(nil, marker, entries)
	out.Tokens = Tokens(string(out.Block))
}

// asGood is the share of its relevance from which on a memory is as good as another
// one: they may say what has changed.
const asGood = .85

// newestFirst puts what is newer before what is about as good for a question of what is
// so now, as far as they stand next to each other. Pinned ones stay.
func newestFirst(all []excerpt) {
	for i := 1; i < len(all); i++ {
		for j := i; j > 0; j-- {
			a, b := all[j-1].hit, all[j].hit
			if a.Memory.Pinned || !b.present || b.Relevance < asGood*a.Relevance || !b.Memory.ObservedAt.After(a.Memory.ObservedAt) {
				break
			}
			all[j-1], all[j] = all[j], all[j-1]
		}
	}
}

func reasonOf(found *Found, full bool) Reason {
	switch {
	case full || len(found.Pinned) > 0:
		return ReasonBudget
	case found.Present:
		return ReasonInRequest
	case len(found.Hits) > 0:
		return ReasonBelowThreshold
	}
	return ReasonNoMatch
}

// pinned gives a pinned memory, or of one that has no room the beginning: half of the
// room, at least one passage, so that what bears on the question has some, too.
func (h *Hit) pinned(left int) excerpt {
	e := excerpt{hit: h}
	for e.to < h.item.passages() {
		e.tokens += h.item.tokens(e.to)
		e.to++
	}
	if e.tokens <= left {
		return e
	}
	for e.tokens > left/2 && e.to > 1 {
		e.to--
		e.tokens -= h.item.tokens(e.to)
	}
	return e
}

// shorten cuts an excerpt of one passage off so that it takes at most left tokens, at
// the end of a sentence or a word; false if too little would be left.
func (e *excerpt) shorten(left int) bool {
	text := e.hit.item.text(e.from, e.to)
	around := e.tokens - Tokens(text)
	if len(e.hit.item.parts) == 1 {
		around += signsTokens
	}
	if left < leastCut || left <= around {
		return false
	}
	end, room := 0, 2*3*(left-around) // a byte beyond ASCII takes three sixths, an ASCII one two
	for i, r := range text {
		n := utf8.RuneLen(r)
		if r < utf8.RuneSelf {
			room -= 2
		} else {
			room -= 3 * n
		}
		if room < 0 {
			break
		}
		if unicode.IsSpace(r) || r >= 0x2e80 { // between words, or characters that are words
			end = i
		}
	}
	if end < len(text)/8 {
		return false
	}
	e.cut = strings.TrimSpace(text[:end])
	return true
}

// widen adds the passage behind an excerpt, and the one before it, if there is room for
// them, and gives what they take.
func (e *excerpt) widen(left int) (taken int) {
	if e.cut != "" {
		return 0
	}
	if n := e.hit.item.tokens(e.to); e.to < e.hit.item.passages() && n <= left {
		e.to, taken = e.to+1, n
	}
	if e.from > 0 {
		if n := e.hit.item.tokens(e.from - 1); taken+n <= left {
			e.from, taken = e.from-1, taken+n
		}
	}
	return taken
}

// signsTokens is what the signs cost that say that something is left out.
const signsTokens = 4

// entry is how an excerpt stands in a block. Where something is left out, a sign says
// so.
func (e *excerpt) entry() block.Entry {
	it := e.hit.item
	entry := entryOf(&e.hit.Memory)
	if entry.Text = e.cut; e.cut == "" {
		entry.Text = it.text(e.from, e.to)
	}
	if e.from > 0 {
		entry.Text = "… " + entry.Text
	}
	if e.cut != "" || e.to < it.passages() {
		entry.Text += " …"
	}
	return entry
}

// entryOf is how a memory stands in a block.
func entryOf(m *Memory) block.Entry {
	by := m.Speaker
	if by == "" {
		by = m.Role
	}
	e := block.Entry{ID: m.ID, Day: m.ObservedAt, By: by, Text: m.Content}
	if !m.ValidFrom.IsZero() {
		e.Day = m.ValidFrom
	}
	e.Until = m.ValidTo
	return e
}

// entryTokens is what a part of a memory costs in a block. It is counted when the
// memory is loaded, not when it is recalled.
func entryTokens(m *Memory, text string) int {
	e := entryOf(m)
	e.Text = text
	return Tokens(string(block.AppendEntry(nil, &e)))
}

// Quote writes memories as a block for a model that we ask ourselves, each
// whole, as far as maxTokens go. It gives the block and its size.
func (k *Keeper) Quote(tenant string, memories []Memory, maxTokens int) (text string, tokens, quoted int) {
	marker := k.Marker(tenant)
	left := maxTokens - (block.Overhead(marker)+2)/3
	entries := make([]block.Entry, 0, len(memories))
	for i := range memories {
		n := entryTokens(&memories[i], memories[i].Content)
		if n > left {
			continue
		}
		left -= n
		entries = append(entries, entryOf(&memories[i]))
	}
	text = string(block.Append(nil, marker, entries))
	return text, Tokens(text), len(entries)
}
