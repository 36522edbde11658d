package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ownkey/ownkey/memory"
)

// tokens measures what a block costs, and what it brings: the share of the
// evidence that is in it. Below it, for the same share, what others need who put
// in a fixed number of turns, best first by plain BM25 (FTS5), and what a
// question costs that the bucket knows nothing about.
func tokens(ctx context.Context, _ *settings, all []conversation) error {
	o, err := newOurs(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	turns := map[string]map[string]string{}
	for i := range all {
		if err := o.Load(ctx, all[i].name, all[i].documents()); err != nil {
			return err
		}
		if turns[all[i].name], err = o.turns(ctx, &all[i]); err != nil {
			return err
		}
	}
	fmt.Println("| budget, most memories | evidence in the block | tokens per question, mean | blocks for questions about other conversations |\n| --- | ---: | ---: | ---: |")
	for _, f := range []struct{ budget, k int }{{400, 8}, {800, 8}, {800, 16}, {1600, 16}} {
		if err := o.blocks(all, turns, f.budget, f.k); err != nil {
			return err
		}
	}
	return fixedTurns(ctx, all)
}

// turns says which turn each memory is.
func (o *ours) turns(ctx context.Context, c *conversation) (map[string]string, error) {
	ids, n := map[string]string{}, 0
	err := o.keeper.Each(ctx, "bench", c.name, func(m *memory.Memory) error {
		ids[m.ID] = c.turns[n].id
		n++
		return nil
	})
	if err == nil && n != len(c.turns) {
		err = errors.New("not all turns were stored")
	}
	return ids, err
}

func (o *ours) blocks(all []conversation, turns map[string]map[string]string, budget, k int) error {
	var share, cost float64
	questions, foreign := 0, 0
	for i := range all {
		c, other := &all[i], &all[(i+5)%len(all)]
		for j := range c.questions {
			q := &c.questions[j]
			got, err := o.recall(c.name, prompt{text: q.text}, k, budget)
			if err != nil {
				return err
			}
			in := 0
			for _, id := range got.IDs {
				if slices.Contains(q.evidence, turns[c.name][id]) {
					in++
				}
			}
			share += float64(in) / float64(len(q.evidence))
			cost += float64(got.Tokens)
			questions++
			if got, err = o.recall(other.name, prompt{text: q.text}, k, budget); err != nil {
				return err
			}
			if len(got.IDs) > 0 {
				foreign++
			}
		}
	}
	n := float64(questions)
	fmt.Printf("| %d, %d | %.1f %% | %.0f | %.1f %% |\n", budget, k, 100*share/n, cost/n, 100*float64(foreign)/n)
	return nil
}

// fixedTurns puts the first k turns of FTS5 into a block of the same form.
func fixedTurns(ctx context.Context, all []conversation) error {
	e, err := newFTS5()
	if err != nil {
		return err
	}
	defer e.Close()
	texts := map[string]map[string]string{}
	for i := range all {
		c := &all[i]
		if err := e.Load(ctx, c.name, c.documents()); err != nil {
			return err
		}
		texts[c.name] = map[string]string{}
		for _, t := range c.turns {
			texts[c.name][t.id] = t.text
		}
	}
	for _, k := range []int{8, 16, 32} {
		var share, cost float64
		n := 0.0
		for i := range all {
			c := &all[i]
			for j := range c.questions {
				q := &c.questions[j]
				ids, err := e.Search(ctx, c.name, q.text, k)
				if err != nil {
					return err
				}
				in, words := 0, 0
				for _, id := range ids {
					if slices.Contains(q.evidence, id) {
						in++
					}
					words += memory.Tokens("- [m00000000000000, 2023-01-01, Caroline] \"" + texts[c.name][id] + "\"\n")
				}
				share += float64(in) / float64(len(q.evidence))
				cost += float64(words + 75) // the frame
				n++
			}
		}
		fmt.Printf("| FTS5, always %d turns | %.1f %% | %.0f | |\n", k, 100*share/n, cost/n)
	}
	return nil
}
