package main

import (
	"context"
	"fmt"
	"reflect"

	"github.com/ownkey/ownkey/memory/asked"
	"github.com/ownkey/ownkey/memory/index"
)

// tuning is LoCoMo in indexes that share their weights.
type tuning struct {
	all     []conversation
	indexes []*index.Index
	weights index.Weights
}

// tune chooses the weights on nine conversations and tries them on the tenth,
// for each of the ten, and then chooses them on all.
func tune(_ context.Context, _ *settings, all []conversation) error {
	t := &tuning{all: all}
	for i := range all {
		x := index.New(&t.weights)
		for _, turn := range all[i].turns {
			x.Add(&index.Document{Text: turn.text, Speaker: turn.speaker, Session: turn.session, Day: turn.day})
		}
		t.indexes = append(t.indexes, x)
	}
	var unseen []measured
	for fold := range all {
		t.climb(fold)
		unseen = append(unseen, t.results(fold)...)
		fmt.Printf("without %s: %+v\n", all[fold].name, t.weights)
	}
	t.climb(-1)
	fmt.Printf("on all: %+v\n\n", t.weights)
	fmt.Println("| | all | nDCG@10 | 1-4 | 1 | 2 | 3 | 4 | 5 |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	printRow("each conversation with the weights of the nine others", unseen)
	var best, shipped []measured
	for i := range all {
		best = append(best, t.results(i)...)
	}
	printRow("the weights of all", best)
	t.weights = index.Default
	for i := range all {
		shipped = append(shipped, t.results(i)...)
	}
	printRow("the weights of the program", shipped)
	return nil
}

// results asks one conversation's questions with the present weights.
func (t *tuning) results(i int) (out []measured) {
	c := &t.all[i]
	for j := range c.questions {
		q := &c.questions[j]
		found := t.indexes[i].Search(&index.Query{
			Question: asked.Question{Parts: []asked.Part{{Text: q.text, Weight: 1}}}, K: 10, Allow: func(int) bool { return true },
		})
		ids := make([]string, 0, 10)
		for _, h := range found.Hits {
			ids = append(ids, c.turns[h.Doc].id)
		}
		out = append(out, measure(q, ids))
	}
	return out
}

// value is what is climbed: R@5 + R@10 of all conversations but one.
func (t *tuning) value(without int) float64 {
	var all []measured
	for i := range t.all {
		if i != without {
			all = append(all, t.results(i)...)
		}
	}
	s := mean(all, func(int) bool { return true })
	return s.r5 + s.r10
}

// start is where every climb begins: the recipe as published, before anything
// was chosen here.
var start = index.Weights{
	K1: .9, B: .4, Name: 1, Cover: .1, Person: index.Near{Before1: .5, Before2: .25, After1: .5, After2: .25, Answer: .25},
	Session: .6, SessionK1: .9, SessionB: .4, Speaker: 1,
}

// chosen are the weights that LoCoMo, whose turns are persons', says something about.
func chosen(w *index.Weights) (all []reflect.Value) {
	for _, part := range []any{w, &w.Person} {
		for _, weight := range reflect.ValueOf(part).Elem().Fields() {
			if weight.Kind() == reflect.Float32 && !weight.IsZero() {
				all = append(all, weight)
			}
		}
	}
	return all
}

// climb changes one weight at a time for as long as that helps.
func (t *tuning) climb(without int) {
	t.weights = start
	best := t.value(without)
	for better := true; better; {
		better = false
		for _, weight := range chosen(&t.weights) {
			for _, f := range []float64{.5, .8, 1.25, 2} {
				held := weight.Float()
				weight.SetFloat(held * f)
				if v := t.value(without); v > best+.05 {
					best, better = v, true
				} else {
					weight.SetFloat(held)
				}
			}
		}
	}
}
