package index

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ownkey/ownkey/memory/asked"
	"github.com/ownkey/ownkey/memory/terms"
)

// Hit is a document that was found, by its best passage, with the parts of the score.
type Hit struct {
	Doc     int
	Passage int // its place among the document's, from 0
	Score   float32
	Parts   Parts
}

// Parts are what a score is the sum of.
type Parts struct {
	Words     float32 // of the passage itself
	Cover     float32 // for the share of the question that it has
	Neighbors float32
	Session   float32
	Speaker   float32
	Recent    float32
	Meaning   float32
}

// Found is what a search gives.
type Found struct {
	Hits  []Hit // best first; of two with one score the newer
	Signs       // what tells whether the bucket knows of what is asked
}

// search is the scratch paper of one search.
type search struct {
	words   []string
	asked   []term
	places  map[uint32]int // of the terms in asked
	base    []float32      // by passage
	cover   []float32      // by passage: the words of the question that stand in it
	best    []float32      // by document: the best of its passages
	talk    []float32      // by conversation
	named   []bool         // by speaker
	near    []float32      // of Query.Meaning
	total   float32        // what all words of the question weigh
	unknown float32        // what those weigh that stand nowhere
	content float32        // how many words the question has, without names
	strange float32        // how many of them stand nowhere
	spelled int            // words that were looked for by their spelling
	told    bool
	present bool
	top     []float32 // scores of the best passages, best first
	weights *Weights
}

// term is a word of the question.
type term struct {
	at     uint32
	weight float32 // of the part of the question that it stands in
	share  float32 // of the rarest word, that it may weigh at most when it is a light one; else 1
}

var searches = sync.Pool{New: func() any { return &search{places: map[uint32]int{}} }}

// Query is what is searched for.
type Query struct {
	asked.Question
	K int
	// Allow says which documents may be found.
	Allow func(doc int) bool
	// Meaning is how close the documents' vectors are to the question's, by document:
	// by how many deviations a cosine is beyond the mean of all; nil without vectors,
	// and 0 for a document that has none yet. A cosine by itself says nothing: each
	// model has its own band.
	Meaning []float32
}

// Search finds the K documents that bear most on a question. Words and meaning
// are added up, over all documents: neither decides what the other may find.
func (x *Index) Search(q *Query) Found {
	s := searches.Get().(*search) //nolint:forcetypeassert // the pool's New
	defer searches.Put(s)
	s.begin(x, q)
	s.near = q.Meaning
	defer func() { s.near = nil }()
	rare := x.rarest()
	for _, t := range s.asked {
		l, w := &x.lists[t.at], t.weight
		if x.isName[t.at] {
			w *= s.weights.Name
		}
		cover := s.cover
		if t.weight < 1 {
			cover = nil
		}
		limit := float32(math.MaxFloat32)
		if t.share < 1 {
			limit = t.share * rare
		}
		idf := score(l.parts, &x.texts, s.weights.K1, s.weights.B, w, limit, s.base, cover)
		if cover != nil {
			s.total += idf
		}
		score(l.talks, &x.talks, s.weights.SessionK1, s.weights.SessionB, w, math.MaxFloat32, s.talk, nil)
	}
	for p, b := range s.base {
		if d := x.parts[p].doc; b > s.best[d] {
			s.best[d] = b
		}
	}
	hits := x.find(s, q.K, q.Allow)
	return Found{Hits: hits, Signs: x.signs(s, hits)}
}

// maxQuestionBytes bounds what is read of a question, so that asking with a text
// of a megabyte costs no more than asking with a page.
const maxQuestionBytes = 4 << 10

// begin looks the question's words up.
func (s *search) begin(x *Index, q *Query) {
	s.weights, s.total, s.unknown, s.content, s.strange, s.spelled = x.weights, 0, 0, 0, 0, 0
	s.told, s.present = q.Told, q.Present
	s.asked = s.asked[:0]
	clear(s.places)
	left := maxQuestionBytes
	for _, p := range q.Parts {
		text := p.Text[:min(len(p.Text), left)]
		left -= len(text)
		s.ask(x, text, p.Weight)
	}
	s.base = zeroed(s.base, len(x.parts))
	s.cover = zeroed(s.cover, len(x.parts))
	s.best = zeroed(s.best, len(x.docs))
	s.talk = zeroed(s.talk, len(x.last))
	s.named = s.named[:0]
	for _, name := range x.names {
		named := len(name) > 0
		for _, t := range name {
			if _, named = s.places[t]; !named {
				break
			}
		}
		s.named = append(s.named, named)
	}
}

// ask adds a part of the question.
func (s *search) ask(x *Index, text string, weight float32) {
	rare := x.rarest()
	s.words = terms.Append(s.words[:0], text)
	for _, w := range s.words {
		t, ok := x.terms[w]
		share := float32(1)
		if terms.Light(w) {
			share = s.weights.Light
		}
		if !ok || len(x.lists[t].parts) == 0 {
			if ok = false; share == 1 && s.spelled < maxNearWords && terms.Spelled(w) {
				s.spelled++
				if t, ok = x.near(w); ok && weight == 1 { // it may be another word
					s.unknown += doubt * rare
					s.strange += doubt
					share = 1 - doubt
					s.content += doubt
				}
			}
		}
		if !ok {
			if weight == 1 && share == 1 { // what is said around a question may be about anything, and so may light words
				s.unknown += rare
				s.content++
				s.strange++
			}
			continue
		}
		at, ok := s.places[t]
		if !ok {
			at = len(s.asked)
			s.places[t] = at
			s.asked = append(s.asked, term{at: t, share: share})
			if weight == 1 && !x.isName[t] {
				s.content += share
			}
		}
		s.asked[at].weight = max(s.asked[at].weight, weight)
	}
}

// rarest is what a word weighs that stands in one passage.
func (x *Index) rarest() float32 {
	return float32(math.Log(1 + (float64(x.texts.n)+.5)/1.5))
}

func zeroed(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n, n+n/4)
	}
	s = s[:n]
	clear(s)
	return s
}

// score adds a term's BM25, times weight, to the places where it stands, and what it
// weighs to cover; it gives the latter.
func score(l []posting, b *book, k1, bb, weight, limit float32, to, cover []float32) float32 {
	if len(l) == 0 {
		return 0
	}
	n := float64(len(l))
	idf := weight * float32(math.Log(1+(float64(b.n)-n+.5)/(n+.5)))
	average := float32(b.total / float64(b.n))
	base, slope := k1*(1-bb), k1*bb/average
	for _, p := range l {
		tf := float32(p.count)
		to[p.at] += idf * tf * (k1 + 1) / (tf + base + slope*b.length[p.at])
	}
	idf = min(idf, limit)
	if cover != nil {
		for _, p := range l {
			cover[p.at] += idf
		}
	}
	return idf
}

// contrast is how many of the best passages tell how far the best is ahead.
const contrast = 24

// find adds the surroundings and keeps the k best documents, each by its best passage.
func (x *Index) find(s *search, k int, allow func(doc int) bool) []Hit {
	var hits []Hit
	s.top = s.top[:0]
	for at := range x.docs {
		e := &x.docs[at]
		if !e.live || s.near == nil && !x.touched(s, at) {
			continue
		}
		h := x.hit(s, at)
		if h.Score <= h.Parts.Speaker+h.Parts.Recent {
			continue
		}
		full := len(hits) == k
		if full && h.Score < hits[k-1].Score && len(s.top) == contrast && h.Score-h.Parts.Meaning <= s.top[contrast-1] {
			continue
		}
		if !allow(at) {
			continue
		}
		if words := h.Score - h.Parts.Meaning; words > h.Parts.Speaker+h.Parts.Recent {
			s.note(words)
		}
		if full && h.Score < hits[k-1].Score {
			continue
		}
		i, _ := slices.BinarySearchFunc(hits, h, func(other, h Hit) int {
			if other.Score > h.Score || other.Score == h.Score && x.docs[other.Doc].day > e.day {
				return -1
			}
			return 1
		})
		if !full {
			hits = append(hits, Hit{})
		} else if i == k {
			continue
		}
		copy(hits[i+1:], hits[i:])
		hits[i] = h
	}
	return hits
}

// touched reports whether a word of the question stands in a document, in its
// conversation, or in the question that came just before it.
func (x *Index) touched(s *search, at int) bool {
	e := &x.docs[at]
	switch {
	case s.best[at] > 0:
		return true
	case e.talk != none:
		return s.talk[e.talk] > 0
	}
	return x.beside(e, e.prev) && s.best[e.prev] > 0 && x.docs[e.prev].asks // it may be the answer
}

// note keeps a score among the best.
func (s *search) note(score float32) {
	if len(s.top) == contrast && score <= s.top[contrast-1] {
		return
	}
	if len(s.top) < contrast {
		s.top = append(s.top, 0)
	}
	i := len(s.top) - 1
	for ; i > 0 && s.top[i-1] < score; i-- {
		s.top[i] = s.top[i-1]
	}
	s.top[i] = score
}

// hit scores a document.
func (x *Index) hit(s *search, at int) Hit {
	e, w := &x.docs[at], s.weights
	h := Hit{Doc: at}
	first := int(e.part)
	var own float32
	for i := range int(e.parts) {
		words, cover := s.base[first+i], float32(0)
		if s.total > 0 {
			cover = w.Cover * s.cover[first+i] * s.cover[first+i] / s.total
		}
		if i == 0 || words+cover > own {
			own, h.Passage, h.Parts.Words, h.Parts.Cover = words+cover, i, words, cover
		}
	}
	near, share := w.Person, float32(1)
	switch e.role {
	case User:
		near = w.User
	case Assistant:
		near, share = w.Reply, w.Assistant
		if s.told {
			share = w.Told
		}
	}
	p := &h.Parts
	if e.talk == none {
		near = w.Plain
	}
	p.Words, p.Cover = p.Words*share, p.Cover*share
	p.Neighbors = share * x.neighbors(s, e, &near)
	if e.talk != none {
		p.Session = w.Session * s.talk[e.talk]
	} else { // with those around it, it is a conversation of its own
		p.Session = w.Session * (p.Words + p.Cover + p.Neighbors)
	}
	if e.speaker != none && s.named[e.speaker] {
		p.Speaker = w.Speaker
	}
	p.Recent = x.recent(s, e)
	if s.near != nil {
		p.Meaning = w.Meaning * x.meaning(s, at)
	}
	h.Score = p.Words + p.Cover + p.Neighbors + p.Session + p.Speaker + p.Recent + p.Meaning
	return h
}

// shortest is the least time, in seconds, over which what is newer counts more: what
// was stored in a row has no order that says anything.
const shortest = 7 * 24 * 3600

// recent is what a document's day adds.
func (x *Index) recent(s *search, e *doc) float32 {
	span := max(x.days.last-x.days.first, shortest)
	if e.day == 0 {
		return 0
	}
	w := s.weights.Recent
	if s.present {
		w = s.weights.Present
	}
	return w * s.total * float32(float64(e.day-x.days.first)/float64(span))
}

// meaning is how close a document and its surroundings are to the question.
func (x *Index) meaning(s *search, at int) float32 {
	e, w := &x.docs[at], s.weights
	sum := max(0, s.near[at])
	if e.talk == none {
		return sum
	}
	if e.prev != none {
		sum += w.MeaningNear * max(0, s.near[e.prev])
		if far := x.docs[e.prev].prev; far != none {
			sum += w.MeaningFar * max(0, s.near[far])
		}
	}
	if e.next != none {
		sum += w.MeaningNear * max(0, s.near[e.next])
		if far := x.docs[e.next].next; far != none {
			sum += w.MeaningFar * max(0, s.near[far])
		}
	}
	return sum
}

// together is how near in time memories that are no turns were made that are read
// together: a client that knows no conversations stores the turns of one in a row.
const together = int64(time.Hour / time.Second)

// beside reports whether a document is read together with another one, which stands
// before or behind it.
func (x *Index) beside(e *doc, other int32) bool {
	if other == none {
		return false
	}
	if e.talk != none {
		return true
	}
	o := &x.docs[other]
	return e.day != 0 && o.day != 0 && o.day-e.day <= together && e.day-o.day <= together
}

// neighbors is what the documents around one add.
func (x *Index) neighbors(s *search, e *doc, near *Near) (sum float32) {
	if x.beside(e, e.prev) {
		before := &x.docs[e.prev]
		sum += near.Before1 * s.best[e.prev]
		if before.asks {
			sum += near.Answer * s.best[e.prev]
		}
		if x.beside(e, before.prev) {
			sum += near.Before2 * s.best[before.prev]
		}
	}
	if x.beside(e, e.next) {
		after := &x.docs[e.next]
		sum += near.After1 * s.best[e.next]
		if x.beside(e, after.next) {
			sum += near.After2 * s.best[after.next]
		}
	}
	return sum
}
