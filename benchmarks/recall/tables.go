package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// generated are the sets that need nothing from outside, with what is asked of them.
func generated() []set {
	return []set{personas(), tongues(), languages(), updates(), echo(), documents(), dialogues()}
}

// outside are the published sets whose data are at hand. Of the others, a line says
// how to get them.
func outside(s *settings, locomo []conversation) ([]set, error) {
	var all []set
	if len(locomo) > 0 {
		all = append(all, locomoSet(locomo, false), locomoSet(locomo, true))
	}
	for _, p := range []struct {
		dir, get string
		read     func(dir string) (set, error)
	}{{s.beam, getBEAM, readBEAM}, {s.realmem, getRealMem, readRealMem}} {
		one, err := p.read(p.dir)
		if missing(err) {
			fmt.Println(one.name + " is not at hand: " + p.get)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// setTables prints what the program brings into a prompt on every set, beside plain
// BM25 over the same terms.
func setTables(ctx context.Context, s *settings, locomo []conversation) error {
	fmt.Printf("Blocks of %d tokens, in process. Evidence is the mean share of it that is in the block; foreign questions are those that nothing in the bucket answers. BM25 has k1 %.1f, b %.2f, and whole memories in its order.\n\n", blockTokens, plainK1, plainB)
	sets, err := outside(s, locomo)
	if err != nil {
		return err
	}
	fmt.Println("| set | questions | evidence in the block | BM25 | first in the block | BM25 | tokens a question | BM25 | foreign questions | with a block | BM25 |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, one := range append(generated(), sets...) {
		if err := setRows(ctx, &one); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return formTable(ctx)
}

// setRows prints a line for each kind of question, if there are several but not many,
// else one.
func setRows(ctx context.Context, s *set) error {
	own, err := measureSet(ctx, s, startKeeper, &bare)
	if err != nil {
		return err
	}
	simple, err := measureSet(ctx, s, startPlain, &bare)
	if err != nil {
		return err
	}
	kinds := slices.Sorted(maps.Keys(own))
	if len(kinds) > 5 {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		name := s.name
		if kind != "" {
			name += ": " + kind
		} else if len(kinds) == 2 {
			continue // one kind, and all: the same
		}
		fmt.Printf("| %s | %s |\n", name, own[kind].beside(simple[kind]))
	}
	return nil
}

// beside is a row's cells.
func (r *brought) beside(b *brought) string {
	cells := []string{strconv.Itoa(r.questions)}
	for _, of := range []func(*brought) string{(*brought).answered, (*brought).best, (*brought).cost} {
		cells = append(cells, of(r), of(b))
	}
	return strings.Join(append(cells, strconv.Itoa(r.strangers), r.disturbance(), b.disturbance()), " | ")
}

func (r *brought) answered() string    { return percent(r.evidence, r.questions) }
func (r *brought) best() string        { return percent(float64(r.first), r.questions) }
func (r *brought) cost() string        { return strconv.Itoa(r.tokens / max(1, r.questions)) }
func (r *brought) disturbance() string { return percent(float64(r.disturbed), r.strangers) }

// percent is a share of n; empty of none.
func percent(sum float64, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", 100*sum/float64(n))
}

// formTable prints what is left of the personas' direct questions in each written
// form.
func formTable(ctx context.Context) error {
	s := directQuestions()
	fmt.Println("\n| the personas' direct questions, written as | evidence in the block | BM25 | foreign, with a block | BM25 |\n| --- | ---: | ---: | ---: | ---: |")
	for i := range forms {
		f := &forms[i]
		own, err := measureSet(ctx, &s, startKeeper, f)
		if err != nil {
			return err
		}
		simple, err := measureSet(ctx, &s, startPlain, f)
		if err != nil {
			return err
		}
		r, b := own[""], simple[""]
		fmt.Printf("| %s | %s | %s | %s | %s |\n", f.name, r.answered(), b.answered(), r.disturbance(), b.disturbance())
	}
	return nil
}

// directQuestions are the personas without the paraphrases and the questions about
// somebody known.
func directQuestions() set {
	s := personas()
	for i := range s.buckets {
		b := &s.buckets[i]
		b.questions = slices.DeleteFunc(b.questions, func(q question) bool { return q.kind != kindDirect })
	}
	return s
}
