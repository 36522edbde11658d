package index

import (
	"math"
	"slices"
	"sync"

	"github.com/ownkey/ownkey/memory/terms"
)

// Hit is a document that was found, with the parts of its score.
type Hit struct {
	Doc   int
	Score float32
	Parts Parts
}

// Parts are what a score is the sum of.
type Parts struct {
	Words     float32 // of the document itself
	Neighbors float32
	Session   float32
	Speaker   float32
}

// Found is what a search gives.
type Found struct {
	Hits []Hit // best first; of two with one score the newer
	// Ideal is the BM25 of an imaginary short document that has every word of
	// the question; a word that stands nowhere counts like the rarest.
	Ideal float32
}

// search is the scratch paper of one search.
type search struct {
	words   []string
	terms   []uint32
	base    []float32 // by document
	talk    []float32 // by conversation
	asked   []bool    // by speaker
	ideal   float32
	weights *Weights
}

var searches = sync.Pool{New: func() any { return &search{} }}

// Search finds the k documents that bear most on a question, among those that
// allow admits.
func (x *Index) Search(question string, k int, allow func(doc int) bool) Found {
	s := searches.Get().(*search) //nolint:forcetypeassert // the pool's New
	defer searches.Put(s)
	s.begin(x, question)
	for _, t := range s.terms {
		l, w := &x.lists[t], float32(1)
		if x.isName[t] {
			w = s.weights.Name
		}
		s.ideal += score(l.docs, &x.turns, s.weights.K1, s.weights.B, w, s.base)
		score(l.talks, &x.talks, s.weights.SessionK1, s.weights.SessionB, w, s.talk)
	}
	return Found{Hits: x.best(s, k, allow), Ideal: s.ideal}
}

// maxWords bounds the words of a question that are looked up, so that a text of
// a megabyte that is asked with costs no more than a page.
const maxWords = 400

// begin looks the question's words up.
func (s *search) begin(x *Index, question string) {
	s.weights, s.ideal = x.weights, 0
	s.words = terms.Append(s.words[:0], question)
	if len(s.words) > maxWords {
		s.words = s.words[len(s.words)-maxWords:] // what is asked stands at the end
	}
	s.terms = s.terms[:0]
	for _, w := range s.words {
		if t, ok := x.terms[w]; !ok {
			s.ideal += float32(math.Log(1+(float64(x.turns.n)+.5)/.5)) * (s.weights.K1 + 1)
		} else if !slices.Contains(s.terms, t) {
			s.terms = append(s.terms, t)
		}
	}
	s.base = zeroed(s.base, len(x.docs))
	s.talk = zeroed(s.talk, len(x.last))
	s.asked = s.asked[:0]
	for _, name := range x.names {
		named := len(name) > 0
		for _, t := range name {
			named = named && slices.Contains(s.terms, t)
		}
		s.asked = append(s.asked, named)
	}
}

func zeroed(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n, n+n/4)
	}
	s = s[:n]
	clear(s)
	return s
}

// score adds a term's BM25, times weight, to the places where it stands, and
// gives the most that it could add to one.
func score(l []posting, b *book, k1, bb, weight float32, to []float32) float32 {
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
	return idf * (k1 + 1)
}

// best adds the surroundings and keeps the k best.
func (x *Index) best(s *search, k int, allow func(doc int) bool) []Hit {
	var hits []Hit
	for at := range x.docs {
		p := x.parts(s, at)
		total := p.Words + p.Neighbors + p.Session + p.Speaker
		if total <= p.Speaker || !x.docs[at].live {
			continue
		}
		if len(hits) == k && total < hits[k-1].Score || !allow(at) {
			continue
		}
		i, _ := slices.BinarySearchFunc(hits, total, func(h Hit, total float32) int {
			if h.Score > total {
				return -1
			}
			return 1
		})
		if len(hits) < k {
			hits = append(hits, Hit{})
		} else if i == k {
			continue
		}
		copy(hits[i+1:], hits[i:])
		hits[i] = Hit{at, total, p}
	}
	return hits
}

func (x *Index) parts(s *search, at int) (p Parts) {
	e, w := &x.docs[at], s.weights
	p.Words = s.base[at]
	p.Session = w.Session * p.Words // a memory on its own is a conversation of its own
	if e.talk != none {
		p.Session = w.Session * s.talk[e.talk]
		p.Neighbors = x.neighbors(s, e)
	}
	if e.speaker != none && s.asked[e.speaker] {
		p.Speaker = w.Speaker
	}
	return p
}

// neighbors is what the turns around a turn add.
func (x *Index) neighbors(s *search, e *doc) (sum float32) {
	w := s.weights
	if e.prev != none {
		before := &x.docs[e.prev]
		sum += w.Before1 * s.base[e.prev]
		if before.asks {
			sum += w.Answer * s.base[e.prev]
		}
		if before.prev != none {
			sum += w.Before2 * s.base[before.prev]
		}
	}
	if e.next != none {
		after := &x.docs[e.next]
		sum += w.After1 * s.base[e.next]
		if after.next != none {
			sum += w.After2 * s.base[after.next]
		}
	}
	return sum
}
