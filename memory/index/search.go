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
	Meaning   float32
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
	stands  map[uint32]bool // the terms
	base    []float32       // by document
	talk    []float32       // by conversation
	asked   []bool          // by speaker
	cosines []float32
	ideal   float32
	weights *Weights
}

var searches = sync.Pool{New: func() any { return &search{stands: map[uint32]bool{}} }}

// Query is what is searched for.
type Query struct {
	Text string
	K    int
	// Allow says which documents may be found.
	Allow func(doc int) bool
	// Cosines are those of the documents' vectors with the question's, by
	// document; nil without vectors, and 0 for a document that has none yet.
	Cosines []float32
}

// Search finds the K documents that bear most on a question. Words and meaning
// are added up, over all documents: neither decides what the other may find.
func (x *Index) Search(q *Query) Found {
	s := searches.Get().(*search) //nolint:forcetypeassert // the pool's New
	defer searches.Put(s)
	s.begin(x, q.Text)
	s.cosines = q.Cosines
	defer func() { s.cosines = nil }()
	for _, t := range s.terms {
		l, w := &x.lists[t], float32(1)
		if x.isName[t] {
			w = s.weights.Name
		}
		s.ideal += score(l.docs, &x.turns, s.weights.K1, s.weights.B, w, s.base)
		score(l.talks, &x.talks, s.weights.SessionK1, s.weights.SessionB, w, s.talk)
	}
	return Found{Hits: x.best(s, q.K, q.Allow), Ideal: s.ideal}
}

// maxQuestionBytes bounds what is read of a question, so that asking with a text
// of a megabyte costs no more than asking with a page. What is asked stands at
// the end.
const maxQuestionBytes = 4 << 10

// begin looks the question's words up.
func (s *search) begin(x *Index, question string) {
	s.weights, s.ideal = x.weights, 0
	question = question[max(0, len(question)-maxQuestionBytes):]
	s.words = terms.Append(s.words[:0], question)
	s.terms = s.terms[:0]
	clear(s.stands)
	for _, w := range s.words {
		if t, ok := x.terms[w]; !ok {
			s.ideal += float32(math.Log(1+(float64(x.turns.n)+.5)/.5)) * (s.weights.K1 + 1)
		} else if !s.stands[t] {
			s.terms, s.stands[t] = append(s.terms, t), true
		}
	}
	s.base = zeroed(s.base, len(x.docs))
	s.talk = zeroed(s.talk, len(x.last))
	s.asked = s.asked[:0]
	for _, name := range x.names {
		named := len(name) > 0
		for _, t := range name {
			if named = s.stands[t]; !named {
				break
			}
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
		if most := x.most(s, at); most == 0 || len(hits) == k && most < hits[k-1].Score {
			continue
		}
		p := x.parts(s, at)
		total := p.Words + p.Neighbors + p.Session + p.Speaker + p.Meaning
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

// most is a bound of what a document can score, which most documents do not get
// beyond: 0 if no word of the question stands in it or its conversation.
func (x *Index) most(s *search, at int) float32 {
	e := &x.docs[at]
	switch {
	case s.cosines != nil:
		return math.MaxFloat32
	case e.talk != none && (s.base[at] > 0 || s.talk[e.talk] > 0):
		return math.MaxFloat32
	case s.base[at] == 0:
		return 0
	}
	most := s.base[at] + float32(s.weights.Session*s.base[at]) // as parts adds them up
	if e.speaker != none {
		most += s.weights.Speaker
	}
	return most
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
	if s.cosines != nil {
		p.Meaning = w.Meaning * x.meaning(s, at)
	}
	return p
}

// meaning is how close a document and its surroundings are to the question.
func (x *Index) meaning(s *search, at int) float32 {
	e, w := &x.docs[at], s.weights
	sum := max(0, s.cosines[at])
	if e.prev != none {
		sum += w.MeaningNear * max(0, s.cosines[e.prev])
		if far := x.docs[e.prev].prev; far != none {
			sum += w.MeaningFar * max(0, s.cosines[far])
		}
	}
	if e.next != none {
		sum += w.MeaningNear * max(0, s.cosines[e.next])
		if far := x.docs[e.next].next; far != none {
			sum += w.MeaningFar * max(0, s.cosines[far])
		}
	}
	return sum
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
