package main

import (
	"fmt"
	"slices"
	"strings"
)

// set is a number of buckets whose questions are known with their answers. What a
// set is and how it was made is written in its file. Those that are generated need
// nothing from outside; the others are left out where their data are missing.
type set struct {
	name    string
	buckets []bucket
	// imported: its memories come as an application imports them, each alone, and
	// what is said twice is recognized. The others are stored as they are.
	imported bool
}

// bucket is what one person has stored, oldest first if it is a conversation.
type bucket struct {
	name      string
	memories  []document
	questions []question
}

// question is asked of a bucket.
type question struct {
	text     string
	kind     string   // of its set; LoCoMo's is its category
	category int      // LoCoMo's: 1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop, 5 adversarial
	evidence []string // ids of the memories that answer it; none of a stranger
	passage  string   // the words that answer, where only a part of the evidence does
	known    int      // how many of the bucket's memories were there when it was asked
	stranger bool     // nothing in the bucket answers it
}

// add appends a memory and gives its id.
func (b *bucket) add(d document) string {
	if d.ID == "" {
		d.ID = fmt.Sprintf("%s-%d", b.name, len(b.memories))
	}
	b.memories = append(b.memories, d)
	return d.ID
}

// finish says of questions that were asked at the end what was there.
func (b *bucket) finish() {
	for i := range b.questions {
		if b.questions[i].known == 0 {
			b.questions[i].known = len(b.memories)
		}
	}
}

// check says what is wrong with a generated set: an id that comes twice in a bucket, a
// text in a session, a question; evidence that is not there or was not yet there; a
// passage that is not in its evidence.
func (s *set) check() error {
	names := map[string]bool{}
	for i := range s.buckets {
		b := &s.buckets[i]
		if names[b.name] {
			return fmt.Errorf("%s: bucket %s comes twice", s.name, b.name)
		}
		names[b.name] = true
		if err := b.check(); err != nil {
			return fmt.Errorf("%s: %s: %w", s.name, b.name, err)
		}
	}
	return nil
}

func (b *bucket) check() error {
	at, texts := map[string]int{}, map[string]bool{}
	for i := range b.memories {
		d := &b.memories[i]
		if _, ok := at[d.ID]; ok || d.ID == "" {
			return fmt.Errorf("id %q comes twice", d.ID)
		}
		at[d.ID] = i
		said := d.Session + "\n" + d.Text
		if texts[said] || strings.TrimSpace(d.Text) == "" {
			return fmt.Errorf("text %q comes twice", d.Text)
		}
		texts[said] = true
	}
	asked := map[string]bool{}
	for i := range b.questions {
		q := &b.questions[i]
		if asked[q.text] || strings.TrimSpace(q.text) == "" {
			return fmt.Errorf("question %q comes twice", q.text)
		}
		asked[q.text] = true
		if q.known < 1 || q.known > len(b.memories) || q.stranger != (len(q.evidence) == 0) {
			return fmt.Errorf("question %q has %d memories before it and %d that answer it", q.text, q.known, len(q.evidence))
		}
		for _, id := range q.evidence {
			n, ok := at[id]
			if !ok || n >= q.known || !strings.Contains(b.memories[n].Text, q.passage) {
				return fmt.Errorf("question %q: %s does not answer it", q.text, id)
			}
		}
	}
	return nil
}

// strangers gives the set's questions to other buckets, half around the set, with
// the names of whom they are about replaced by names that are known there. A set
// that has such questions of its own, or one bucket only, gets none.
func (s *set) strangers() {
	n := len(s.buckets)
	own := make([]int, n)
	for i := range s.buckets {
		own[i] = len(s.buckets[i].questions)
		if n < 2 || slices.ContainsFunc(s.buckets[i].questions, func(q question) bool { return q.stranger }) {
			return
		}
	}
	for i := range s.buckets {
		from, to := &s.buckets[i], &s.buckets[(i+n/2)%n]
		rename := renaming(from, to)
		asked := map[string]bool{}
		for _, q := range to.questions {
			asked[q.text] = true
		}
		for _, q := range from.questions[:own[i]] {
			text := rename.Replace(q.text)
			if !asked[text] {
				to.questions = append(to.questions, question{text: text, kind: q.kind, category: q.category, known: len(to.memories), stranger: true})
				asked[text] = true
			}
		}
	}
}

// renaming puts the speakers of one bucket in the place of another's.
func renaming(from, to *bucket) *strings.Replacer {
	var pairs []string
	a, b := from.speakers(), to.speakers()
	for i := range min(len(a), len(b)) {
		pairs = append(pairs, a[i], b[i])
	}
	return strings.NewReplacer(pairs...)
}

func (b *bucket) speakers() (all []string) {
	for i := range b.memories {
		if by := b.memories[i].Speaker; by != "" && !slices.Contains(all, by) {
			all = append(all, by)
		}
	}
	return all
}
