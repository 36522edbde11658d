package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/memory"
)

// blockTokens is the size of a block in all sets: the program's default.
const blockTokens = 800

// blocked is what a question brings into a prompt.
type blocked struct {
	ids    []string // of memories
	text   string
	tokens int
}

// blocker writes blocks, for one bucket at a time.
type blocker interface {
	// hold makes the bucket's first n memories known. n does not fall.
	hold(ctx context.Context, s *set, b *bucket, n int) error
	block(b *bucket, turn prompt) (blocked, error)
	close() error
}

// keeper is the program's own memory in process, asked as a call with memory does.
type keeper struct {
	*ours
	held int
	docs map[string][]string // by memory, of which more than one text may be made
}

func newKeeper(ctx context.Context) (*keeper, error) {
	o, err := newOurs(ctx)
	return &keeper{ours: o, docs: map[string][]string{}}, err
}

func (k *keeper) hold(ctx context.Context, s *set, b *bucket, n int) error {
	for k.held < n {
		part := b.memories[k.held:min(n, k.held+memory.MaxBatch)]
		results, err := k.store(ctx, b.name, part, s.imported)
		if err != nil {
			return err
		}
		if len(results) != len(part) {
			return errors.New("not all memories were stored")
		}
		for i := range results {
			k.docs[results[i].ID] = append(k.docs[results[i].ID], part[i].ID)
		}
		k.held += len(part)
	}
	return nil
}

func (k *keeper) block(b *bucket, turn prompt) (blocked, error) {
	got, err := k.recall(b.name, turn, int(config.Default().Memory.TopK), blockTokens)
	out := blocked{text: string(got.Block), tokens: got.Tokens}
	for _, id := range got.IDs {
		out.ids = append(out.ids, k.docs[id]...)
	}
	return out, err
}

func (k *keeper) close() error { return k.Close() }

// brought is what blocks brought over some questions.
type brought struct {
	questions, strangers int
	evidence             float64 // sum of the shares of evidence in the block
	first                int     // blocks whose first memory is evidence
	tokens               int
	disturbed            int // strangers' questions with a block
}

func (r *brought) add(q *question, b *blocked) {
	if q.stranger {
		r.strangers++
		if len(b.ids) > 0 {
			r.disturbed++
		}
		return
	}
	r.questions++
	r.tokens += b.tokens
	in := 0
	for _, id := range q.evidence {
		if b.holds(q, id) {
			in++
		}
	}
	r.evidence += float64(in) / float64(len(q.evidence))
	if len(b.ids) > 0 && slices.Contains(q.evidence, b.ids[0]) {
		r.first++
	}
}

// measureSet asks all questions of a set, each when so many memories are there as
// were then. form is how a question is written. Results are by the question's kind;
// the empty kind is all.
func measureSet(ctx context.Context, s *set, start func(context.Context) (blocker, error), written *form) (map[string]*brought, error) {
	results := map[string]*brought{"": {}}
	for i := range s.buckets {
		if err := measureBucket(ctx, s, &s.buckets[i], start, written, results); err != nil {
			return nil, fmt.Errorf("%s: %w", s.buckets[i].name, err)
		}
	}
	return results, nil
}

func measureBucket(ctx context.Context, s *set, b *bucket, start func(context.Context) (blocker, error), written *form, results map[string]*brought) (err error) {
	e, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	inOrder := slices.Clone(b.questions)
	slices.SortStableFunc(inOrder, func(x, y question) int { return cmp.Compare(x.known, y.known) })
	for i := range inOrder {
		q := &inOrder[i]
		if err := e.hold(ctx, s, b, q.known); err != nil {
			return err
		}
		got, err := e.block(b, written.prompt(q.text))
		if err != nil {
			return err
		}
		results[""].add(q, &got)
		if q.kind == "" {
			continue
		}
		if results[q.kind] == nil {
			results[q.kind] = &brought{}
		}
		results[q.kind].add(q, &got)
	}
	return nil
}

func startKeeper(ctx context.Context) (blocker, error) { return newKeeper(ctx) }
func startPlain(context.Context) (blocker, error)      { return &plain{}, nil }
