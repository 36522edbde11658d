// Package index finds the memories of one bucket that bear on a question. It
// is held in memory, knows words only, and is rebuilt from the store whenever
// it is needed: nothing in it lasts.
//
// A memory's score is BM25 (Robertson and Zaragoza, "The Probabilistic
// Relevance Framework: BM25 and Beyond", 2009) over its words, its date and its
// speaker, and what its surroundings add: the turns next to it in a
// conversation, the conversation as a whole, and a speaker that the question
// names.
package index

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/memory/terms"
)

// Document is what is indexed of a memory.
type Document struct {
	Text    string
	Facts   []string // further keys to the same memory
	Speaker string
	Session string // the conversation that it is a turn of; empty for none
	Day     time.Time
}

// Weights are the parts of a score. What neighbors add is a share of their own
// BM25.
type Weights struct {
	K1, B               float32 // of BM25 over memories
	Name                float32 // of a word that is a speaker's name, beside other words
	Before1, Before2    float32 // share of the turn before, and of the one before that
	After1, After2      float32 // likewise of those behind
	Answer              float32 // further share of the turn before if that is a question
	Session             float32 // of BM25 over whole conversations
	SessionK1, SessionB float32
	Speaker             float32 // for a turn of a speaker whom the question names
	Meaning             float32 // of the cosine with the question's vector
	MeaningNear         float32 // share of the cosine of the turns next to a turn
	MeaningFar          float32 // likewise two away
}

// Default are the weights that are best on LoCoMo (go run ./benchmarks/recall
// -tune, which also says what they are worth on conversations that had no part
// in choosing them).
var Default = Weights{
	K1: .1, B: .4, Name: .3, Before1: .1, Before2: .4, After1: .3, After2: .3, Answer: .7,
	Session: 1.2, SessionK1: .6, SessionB: 1.5, Speaker: 2.5,
	Meaning: 2, MeaningNear: .5, MeaningFar: .25,
}

// Index holds documents by small numbers. It is not safe for concurrent use,
// except that any number of goroutines may Search while none changes it.
type Index struct {
	weights *Weights
	terms   map[string]uint32
	lists   []list // by term
	docs    []doc
	turns   book
	talks   book              // conversations
	talk    map[string]uint32 // by the name of a session
	last    []int32           // the newest document of each conversation
	speaker map[string]uint32 // by the name in lower case
	names   [][]uint32        // of each speaker: the terms of its name
	isName  map[uint32]bool   // terms that stand in a name
	live    int
	bytes   int64       // of words, of places in lists, and of documents' own lists
	scratch []string    // terms of the document at hand
	counted []posting   // the same, each once
	stems   terms.Stems // while many are added; nil otherwise
}

// list is where a term stands, in ascending order.
type list struct{ docs, talks []posting }

type posting struct{ at, count uint32 }

// book is what BM25 needs besides postings.
type book struct {
	length []float32 // in terms, of each
	total  float64
	n      int // that are not empty
}

// doc is a document's place.
type doc struct {
	terms      []posting // its terms and their counts
	prev, next int32     // in its conversation
	talk       int32
	speaker    int32
	asks       bool // it has a question
	live       bool
}

const none = -1

// New makes an empty index. It reads w at each search.
func New(w *Weights) *Index {
	return &Index{weights: w, terms: map[string]uint32{}, talk: map[string]uint32{}, speaker: map[string]uint32{}, isName: map[uint32]bool{}}
}

// Fill calls add, which adds many documents: that is faster than one by one.
func (x *Index) Fill(add func() error) error {
	x.stems = terms.Stems{}
	defer func() { x.stems = nil }()
	return add()
}

// Len counts the documents.
func (x *Index) Len() int { return x.live }

// Slots is one more than the largest number of a document.
func (x *Index) Slots() int { return len(x.docs) }

// Words are the terms of a document, sorted.
type Words []string

// Words reads a document: that is most of the work of adding it, and changes
// nothing that a Search looks at. They are valid until the next call.
func (x *Index) Words(d *Document) Words {
	words := x.stems.Append(x.scratch[:0], d.Speaker)
	words = x.stems.Append(words, d.Text)
	for _, f := range d.Facts {
		words = x.stems.Append(words, f)
	}
	if !d.Day.IsZero() {
		words = terms.AppendDate(words, d.Day)
	}
	slices.Sort(words)
	x.scratch = words
	return words
}

// Add puts a document behind all others and gives its number. Documents of one
// conversation are added in the order of its turns.
func (x *Index) Add(d *Document) int { return x.AddWords(d, x.Words(d)) }

// AddWords is Add for a document that was read before.
func (x *Index) AddWords(d *Document, words Words) int {
	at := len(x.docs)
	entry := doc{prev: none, next: none, talk: none, speaker: none, live: true}
	entry.terms = x.count(words)
	entry.asks = asks(d.Text)
	x.docs = append(x.docs, entry)
	x.turns.length = append(x.turns.length, 0)
	x.live++
	x.place(at, d)
	x.post(at, 1)
	return at
}

// count gives a document's terms, each once.
func (x *Index) count(words Words) []posting {
	counted := x.counted[:0]
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		counted = append(counted, posting{x.term(words[i]), uint32(n)})
		i += n
	}
	clear(words) // they hold on to the document's text
	x.counted = counted
	own := slices.Clone(counted)
	x.bytes += postingBytes * int64(cap(own))
	return own
}

// asks reports whether a text has a question.
func asks(text string) bool { return strings.ContainsAny(text, "?？") }

func (x *Index) term(word string) uint32 {
	t, ok := x.terms[word]
	if !ok {
		t = uint32(len(x.lists)) //nolint:gosec // fewer than documents have words
		x.terms[strings.Clone(word)] = t
		x.bytes += Allocated(len(word)) + wordSlot
		x.lists = append(x.lists, list{})
	}
	return t
}

// place puts a document into its conversation and to its speaker.
func (x *Index) place(at int, d *Document) {
	e := &x.docs[at]
	if d.Session != "" {
		n, ok := x.talk[d.Session]
		if !ok {
			n = uint32(len(x.last)) //nolint:gosec // fewer than documents
			x.talk[d.Session] = n
			x.bytes += wordSlot
			x.last = append(x.last, none)
			x.talks.length = append(x.talks.length, 0)
		}
		e.talk, e.prev = int32(n), x.last[n] //nolint:gosec // likewise
		if e.prev != none {
			x.docs[e.prev].next = int32(at) //nolint:gosec // likewise
		}
		x.last[n] = int32(at) //nolint:gosec // likewise
	}
	if d.Speaker != "" {
		name := strings.ToLower(d.Speaker)
		n, ok := x.speaker[name]
		if !ok {
			n = uint32(len(x.names)) //nolint:gosec // fewer than documents
			x.speaker[name] = n
			x.bytes += Allocated(len(name)) + wordSlot
			x.names = append(x.names, x.nameTerms(name))
		}
		e.speaker = int32(n) //nolint:gosec // likewise
	}
}

// maxNameTerms is how many terms of a name are looked for in a question: people
// have fewer, and a question is compared with all names.
const maxNameTerms = 8

func (x *Index) nameTerms(name string) []uint32 {
	words := terms.Append(nil, name)
	words = words[:min(len(words), maxNameTerms)]
	own := make([]uint32, len(words))
	for i, w := range words {
		own[i] = x.term(w)
		x.isName[own[i]] = true
	}
	return own
}

// post adds a document's terms to the lists, or with sign -1 takes them out.
func (x *Index) post(at, sign int) {
	e := &x.docs[at]
	for _, t := range e.terms {
		l := &x.lists[t.at]
		before := cap(l.docs) + cap(l.talks)
		change(&l.docs, uint32(at), int(t.count)*sign) //nolint:gosec // a document's number
		if e.talk != none {
			change(&l.talks, uint32(e.talk), int(t.count)*sign) //nolint:gosec // a conversation's number
		}
		x.bytes += postingBytes * int64(cap(l.docs)+cap(l.talks)-before)
	}
	x.tally(e, at, sign)
}

// tally counts a document's terms among all, or with sign -1 no more.
func (x *Index) tally(e *doc, at, sign int) {
	n := 0
	for _, t := range e.terms {
		n += int(t.count)
	}
	if n == 0 {
		return
	}
	x.turns.add(at, sign*n)
	if e.talk != none {
		x.talks.add(int(e.talk), sign*n)
	}
}

// change adds n to the count at a place, which goes when nothing is left.
func change(l *[]posting, at uint32, n int) {
	if last := len(*l) - 1; last < 0 || (*l)[last].at < at {
		*l = append(*l, posting{at, uint32(n)}) //nolint:gosec // positive: taking out finds what is there
		return
	}
	i, found := slices.BinarySearchFunc(*l, at, func(p posting, at uint32) int { return cmp.Compare(p.at, at) })
	if !found {
		*l = slices.Insert(*l, i, posting{at, uint32(n)}) //nolint:gosec // likewise
		return
	}
	if (*l)[i].count += uint32(n); (*l)[i].count == 0 { //nolint:gosec // wraps round to the difference
		*l = slices.Delete(*l, i, i+1)
	}
}

func (b *book) add(at, n int) {
	before := b.length[at]
	b.length[at] += float32(n)
	b.total += float64(n)
	switch {
	case before == 0 && b.length[at] > 0:
		b.n++
	case before > 0 && b.length[at] == 0:
		b.n--
	}
}

// Replace changes a document where it stands: its conversation and its speaker
// stay.
func (x *Index) Replace(at int, d *Document) { x.ReplaceWords(at, d, x.Words(d)) }

// ReplaceWords is Replace for a document that was read before.
func (x *Index) ReplaceWords(at int, d *Document, words Words) {
	x.post(at, -1)
	e := &x.docs[at]
	x.bytes -= postingBytes * int64(cap(e.terms))
	e.terms = x.count(words)
	e.asks = asks(d.Text)
	x.post(at, 1)
}
