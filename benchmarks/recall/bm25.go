package main

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/block"
	"github.com/ownkey/ownkey/memory/terms"
)

// BM25 as it is used where nothing was tuned.
const (
	plainK1 = 1.2
	plainB  = .75
)

// plain is what each set is measured beside: BM25 over the same terms, and whole
// memories in its order for as long as the block has room. What has no room is
// passed over. It has no floor: one word in common is enough for a block.
type plain struct {
	docs    []document
	counts  []map[string]int
	lengths []float64
	total   float64
}

func (p *plain) hold(_ context.Context, _ *set, b *bucket, n int) error {
	for i := len(p.docs); i < n; i++ {
		d := b.memories[i]
		words := terms.Append(nil, d.Speaker+" "+d.Text)
		counts := map[string]int{}
		for _, w := range words {
			counts[w]++
		}
		p.docs, p.counts, p.lengths = append(p.docs, d), append(p.counts, counts), append(p.lengths, float64(len(words)))
		p.total += float64(len(words))
	}
	return nil
}

func (p *plain) block(_ *bucket, turn prompt) (blocked, error) {
	marker := block.NewMarker(nil, "bench")
	left := blockTokens - (block.Overhead(marker)+2)/3
	var out blocked
	var entries []block.Entry
	for _, n := range p.search(turn.text) {
		d := &p.docs[n]
		e := block.Entry{ID: "m00000000000000", Day: d.Date, By: cmp.Or(d.Speaker, d.Role), Text: d.Text}
		if cost := memory.Tokens(string(block.AppendEntry(nil, &e))); cost <= left {
			left -= cost
			entries = append(entries, e)
			out.ids = append(out.ids, d.ID)
		}
	}
	if len(entries) > 0 {
		out.text = string(block.Append(nil, marker, entries))
		out.tokens = memory.Tokens(out.text)
	}
	return out, nil
}

// search gives the memories with a word of the text, best first.
func (p *plain) search(text string) []int {
	words := terms.Append(nil, text)
	slices.Sort(words)
	words = slices.Compact(words)
	n := float64(len(p.docs))
	rarity := map[string]float64{}
	for _, w := range words {
		df := 0.0
		for _, c := range p.counts {
			if c[w] > 0 {
				df++
			}
		}
		rarity[w] = math.Log(1 + (n-df+.5)/(df+.5))
	}
	scores := make([]float64, len(p.docs))
	var found []int
	for i, c := range p.counts {
		for _, w := range words {
			if f := float64(c[w]); f > 0 {
				scores[i] += rarity[w] * f * (plainK1 + 1) / (f + plainK1*(1-plainB+plainB*p.lengths[i]*n/p.total))
			}
		}
		if scores[i] > 0 {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return found
}

func (p *plain) close() error { return nil }

// holds reports whether a block has what answers: the memory, and of one of which
// only a part answers, that part.
func (b *blocked) holds(q *question, id string) bool {
	return slices.Contains(b.ids, id) && (q.passage == "" || strings.Contains(b.text, q.passage))
}
