package index

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/memory/asked"
)

func find(x *Index, text string) []Hit {
	return x.Search(&Query{Question: asked.Question{Parts: []asked.Part{{Text: text, Weight: 1}}}, K: 10, Allow: func(int) bool { return true }}).Hits
}

func build(docs ...Document) *Index {
	x := New(&Default)
	for i := range docs {
		x.Add(&docs[i])
	}
	return x
}

func TestWhatAddsToAScore(t *testing.T) {
	talk := []Document{
		{Text: "What do you keep on the roof?", Speaker: "Bob", Session: "s"},
		{Text: "Eleven hives.", Speaker: "Ada", Session: "s"},
		{Text: "Lovely weather.", Speaker: "Bob", Session: "s"},
		{Text: "I was on the roof of a bus", Speaker: "Eve", Session: "other"},
		{Text: "Nothing of the kind", Speaker: "Eve", Session: "third"},
	}
	hits := find(build(talk...), "What does Ada keep on the roof?")
	if len(hits) == 0 || hits[0].Doc != 1 {
		t.Fatalf("the answer is not first: %+v", hits)
	}
	best := hits[0].Parts
	if best.Words <= 0 || best.Neighbors <= 0 || best.Session <= 0 || best.Speaker != Default.Speaker {
		t.Errorf("%+v", best)
	}
	for _, h := range hits {
		if h.Doc == 4 {
			t.Errorf("what has nothing in common is found: %+v", h)
		}
		p := h.Parts
		if sum := p.Words + p.Cover + p.Neighbors + p.Session + p.Speaker + p.Recent + p.Meaning; sum != h.Score {
			t.Errorf("%v is not the sum of %+v", h.Score, p)
		}
	}
	// The same statement, without the question before it, is not found by it.
	if alone := find(build(Document{Text: "Eleven hives."}), "What is kept on the roof?"); len(alone) != 0 {
		t.Errorf("%+v", alone)
	}
	day := build(Document{Text: "we met", Day: time.Date(2023, 5, 8, 0, 0, 0, 0, time.UTC)}, Document{Text: "we met", Day: time.Date(2023, 6, 8, 0, 0, 0, 0, time.UTC)})
	if hits := find(day, "Whom did we meet in May?"); len(hits) == 0 || hits[0].Doc != 0 {
		t.Errorf("by date: %+v", hits)
	}
	facts := build(Document{Text: "Eleven of them.", Facts: []string{"Ada owns eleven hives."}})
	if hits := find(facts, "hives"); len(hits) != 1 {
		t.Errorf("by a fact: %+v", hits)
	}
}

func TestMeaningIsAdded(t *testing.T) {
	x := build(Document{Text: "felines"}, Document{Text: "cats and more"}, Document{Text: "dogs"})
	found := x.Search(&Query{Question: asked.Question{Parts: []asked.Part{{Text: "cats", Weight: 1}}}, K: 10, Allow: func(int) bool { return true }, Meaning: []float32{.9, .8, -.5}})
	if len(found.Hits) != 2 || found.Hits[0].Doc != 1 || found.Hits[1].Doc != 0 || found.Hits[1].Parts.Meaning != .9*Default.Meaning {
		t.Errorf("%+v", found.Hits)
	}
}

// TestRemovedLeaveNoTrace: an index from which documents were removed, or in
// which they were replaced, answers as one that never had them, to the last
// bit.
func TestRemovedLeaveNoTrace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("bees roof library tram harbour honey Ada August nine garden hive? jar")
	text := func() string {
		var t []string
		for range 1 + r.IntN(8)*(1+29*r.IntN(2)) {
			t = append(t, words[r.IntN(len(words))])
		}
		return strings.Join(t, " ")
	}
	x, kept := New(&Default), map[int]Document{}
	var order []int
	for range 2000 {
		switch n := r.IntN(10); {
		case n < 6 || len(order) == 0:
			d := Document{
				Text: text(), Session: []string{"", fmt.Sprint(r.IntN(20))}[r.IntN(2)], Speaker: []string{"Ada", "Bob", ""}[r.IntN(3)],
				Role: Role(r.IntN(3)), Day: time.Unix(int64(1+r.IntN(2e4)), 0),
			}
			at := x.Add(&d)
			kept[at], order = d, append(order, at)
		case n < 8:
			i := r.IntN(len(order))
			gone := order[i:min(len(order), i+1+r.IntN(5))]
			remove(x, gone...)
			for _, at := range gone {
				delete(kept, at)
			}
			order = slices.Delete(order, i, i+len(gone))
		default:
			at := order[r.IntN(len(order))]
			d := kept[at]
			d.Text = text()
			x.Replace(at, &d)
			kept[at] = d
		}
	}
	fresh, number := New(&Default), map[int]int{}
	for _, at := range order {
		d := kept[at]
		number[fresh.Add(&d)] = at
	}
	if x.Len() != fresh.Len() {
		t.Fatalf("%d documents, want %d", x.Len(), fresh.Len())
	}
	for range 200 {
		q := text()
		got, want := find(x, q), find(fresh, q)
		for i := range want {
			want[i].Doc = number[want[i].Doc]
		}
		if !reflect.DeepEqual(scoresOf(got), scoresOf(want)) {
			t.Fatalf("%q: %+v, want %+v", q, got, want)
		}
	}
}

func remove(x *Index, docs ...int) {
	for r := x.Remove(docs); !r.Step(); {
	}
}

// TestRemovalIsFoundNoMore: between two steps of a long removal, what Step has
// met is not found, what stays is, and no step is long.
func TestRemovalIsFoundNoMore(t *testing.T) {
	x := New(&Default)
	var gone []int
	for i := range 3000 {
		at := x.Add(&Document{Text: fmt.Sprintf("bees on roof %d", i%7), Session: fmt.Sprint(i / 9)})
		if i%3 != 0 {
			gone = append(gone, at)
		}
	}
	r, steps := x.Remove(gone), 0
	for done := false; !done; steps++ {
		done = r.Step()
		dead := map[int]bool{}
		for _, at := range gone[:r.unlinked] {
			dead[at] = true
		}
		hits := find(x, "bees roof")
		if len(hits) == 0 {
			t.Fatalf("step %d: what stays is not found", steps)
		}
		for _, h := range hits {
			if dead[h.Doc] {
				t.Fatalf("step %d: document %d is found", steps, h.Doc)
			}
		}
	}
	if x.Len() != 1000 || steps < 3 {
		t.Errorf("%d documents are left after %d steps", x.Len(), steps)
	}
}

// scoresOf leaves out which of several equal documents came first.
func scoresOf(hits []Hit) (all []float32) {
	for _, h := range hits {
		all = append(all, h.Score)
	}
	return all
}

func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{1000, 20_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 4))
			x := New(&Default)
			for i := range n {
				var t strings.Builder
				for range 20 {
					fmt.Fprintf(&t, "word%d ", r.IntN(3000))
				}
				x.Add(&Document{Text: t.String(), Session: fmt.Sprint(i / 20)})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				find(x, fmt.Sprintf("word%d word%d word%d word%d", i%3000, i*7%3000, i*13%3000, i*31%3000))
			}
		})
	}
}
