package main

import (
	"context"
	"fmt"
	"strings"
)

// published are results on the same questions, from the LoCoMo paper (table 3,
// dialog rows, DRAGON) by category number: R@5 / R@10.
var published = "| DRAGON, dialog (LoCoMo paper, table 3) | 56.7 / 66.2 | | 60.4 / 69.6 | 35.4 / 46.6 | 70.4 / 77.3 | 33.1 / 40.8 | 68.0 / 77.7 | 43.9 / 54.7 |"

// quality measures turn-level evidence recall through the program's own store
// and query path.
func quality(ctx context.Context, s *settings, all []conversation) error {
	fmt.Println("Evidence recall on LoCoMo, turns, R@5 / R@10, through POST /v1/buckets/{b}/memories and POST /v1/query.")
	fmt.Println()
	fmt.Println("| | all | nDCG@10 | 1-4 | 1 multi-hop | 2 temporal | 3 open-domain | 4 single-hop | 5 adversarial |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	fmt.Println(published)
	if err := peerQuality(ctx, all); err != nil {
		return err
	}
	measured, err := throughProduct(ctx, "", "", all)
	if err != nil {
		return err
	}
	printRow("Ownkey, words", measured)
	if !s.minilm {
		return nil
	}
	base, stop, err := startMiniLM(ctx, ".tools/minilm")
	if err != nil {
		return err
	}
	defer stop()
	if measured, err = throughProduct(ctx, base, "local/all-MiniLM-L6-v2", all); err != nil {
		return err
	}
	printRow("Ownkey, words and all-MiniLM-L6-v2", measured)
	return nil
}

func throughProduct(ctx context.Context, provider, embeddings string, all []conversation) ([]measured, error) {
	p, err := startProduct(ctx, provider, embeddings)
	if err != nil {
		return nil, err
	}
	defer p.close()
	turns := map[string]map[string]string{}
	n := 0
	for i := range all {
		c := &all[i]
		if turns[c.name], err = p.store(c); err != nil {
			return nil, err
		}
		n += len(c.turns)
	}
	if embeddings != "" {
		if err := p.embedded(ctx, n); err != nil {
			return nil, err
		}
	}
	var out []measured
	without := 0
	for i := range all {
		c := &all[i]
		for j := range c.questions {
			q := &c.questions[j]
			ids, cosines, err := p.ask(c.name, q.text, 10)
			if err != nil {
				return nil, err
			}
			if embeddings != "" && !cosines {
				without++
			}
			for k := range ids {
				ids[k] = turns[c.name][ids[k]]
			}
			out = append(out, measure(q, ids))
		}
	}
	if without > 0 {
		fmt.Printf("<!-- %d of %d questions had no vector in time -->\n", without, len(out))
	}
	return out, nil
}

func printRow(name string, all []measured) {
	of := func(wanted func(category int) bool) scores { return mean(all, wanted) }
	total := of(func(int) bool { return true })
	cells := []string{fmt.Sprintf("%s (n = %d)", name, total.n), total.String(), fmt.Sprintf("%.1f", total.ndcg), of(func(c int) bool { return c < 5 }).String()}
	for category := 1; category <= 5; category++ {
		cells = append(cells, of(func(c int) bool { return c == category }).String())
	}
	fmt.Println("| " + strings.Join(cells, " | ") + " |")
}

// String gives R@5 / R@10.
func (s scores) String() string { return fmt.Sprintf("%.1f / %.1f", s.r5, s.r10) }
