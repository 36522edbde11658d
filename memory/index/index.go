// Package index finds the memories of one bucket that bear on a question. It
// is held in memory, knows words only, and is rebuilt from the store whenever
// it is needed: nothing in it lasts.
//
// A memory is found by its passages. A passage's score is BM25 (Robertson and
// Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) over its
// words, its date and its speaker, a share of the question that it covers, and what
// its surroundings add: the turns next to it in a conversation, the conversation as a
// whole, and a speaker that the question names.
package index

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/memory/passage"
	"github.com/ownkey/ownkey/memory/terms"
)

// Role is whose word a memory is, in a conversation with an assistant.
type Role uint8

// The roles. A person is anybody else: a speaker among others, or who stored a memory
// that is no turn.
const (
	Person Role = iota
	User
	Assistant
)

// Document is what is indexed of a memory.
type Document struct {
	Text    string
	Facts   []string // further keys to the same memory
	Speaker string
	Role    Role
	Session string // the conversation that it is a turn of; empty for none
	Day     time.Time
}

// Near are the shares that the turns around a turn add of their own BM25.
type Near struct {
	Before1, Before2 float32 // the turn before, and the one before that
	After1, After2   float32 // likewise of those behind
	Answer           float32 // further share of the turn before if that is a question
}

// Weights are the parts of a score.
type Weights struct {
	K1, B               float32 // of BM25 over passages
	Name                float32 // of a word that is a speaker's name, beside other words
	Light               float32 // of the rarest word: what one that stands in texts about anything says at most of whether a bucket knows of a question
	Cover               float32 // of the square of the share of the question that a passage has
	Person, User, Reply Near    // around a turn of a person, of a user, of an assistant
	Plain               Near    // around a memory that is no turn: those that came just before and behind it
	Session             float32 // of BM25 over whole conversations
	SessionK1, SessionB float32
	Speaker             float32 // for a turn of a speaker whom the question names
	Assistant           float32 // share that counts of what an assistant has said
	Told                float32 // the same, if the question asks what it has said
	Recent              float32 // of the place of a memory's day among all days
	Present             float32 // the same, if the question asks for what is so now
	Meaning             float32 // of the deviations of the cosine with the question's vector
	MeaningNear         float32 // share of those of the turns next to a turn
	MeaningFar          float32 // likewise two away
}

// Default are the weights that are best on several kinds of conversations
// (go run ./benchmarks/recall tune, which also says what they are worth on those that
// had no part in choosing them).
var Default = Weights{
	K1: .15, B: .4, Name: .3, Light: .5, Cover: .1,
	Person: Near{.1, .4, .3, .3, .7}, User: Near{.05, .05, .5, .25, .05}, Reply: Near{.125, .05, .1, .05, .05}, Plain: Near{.1, .2, .25, .05, .7},
	Session: 1.2, SessionK1: .6, SessionB: 1.5, Speaker: 2.5, Assistant: .4, Told: .64, Recent: .00625, Present: .05,
	Meaning: 1.2, MeaningNear: .5, MeaningFar: .25,
}

// Index holds documents by small numbers. It is not safe for concurrent use,
// except that any number of goroutines may Search while none changes it.
type Index struct {
	weights *Weights
	terms   map[string]uint32
	spelled map[rune][]spelled // terms by their first letter, if their spelling may be wrong
	lists   []list             // by term
	docs    []doc
	parts   []part            // of documents, those of one behind each other
	texts   book              // passages
	talks   book              // conversations
	talk    map[string]uint32 // by the name of a session
	last    []int32           // the newest document of each conversation
	plain   int32             // the newest of none
	speaker map[string]uint32 // by the name in lower case
	names   [][]uint32        // of each speaker: the terms of its name
	isName  map[uint32]bool   // terms that stand in a name
	live    int
	bytes   int64       // of words, of places in lists, and of documents' own lists
	words   Words       // of the document at hand
	ends    []int       // of its passages
	counted []posting   // terms of the passage at hand, each once
	stems   terms.Stems // while many are added; nil otherwise
	days    days
}

// days are the first and the last of all documents, as Unix seconds.
type days struct{ first, last int64 }

// list is where a term stands, in ascending order.
type list struct{ parts, talks []posting }

type posting struct{ at, count uint32 }

// book is what BM25 needs besides postings.
type book struct {
	length []float32 // in terms, of each
	total  float64
	n      int // that are not empty
}

// doc is a document's place.
type doc struct {
	part, parts int32 // its first passage, and how many it has
	room        int32 // passages that there is a place for: a change may need more or fewer
	prev, next  int32 // in its conversation
	talk        int32
	speaker     int32
	day         int64 // as Unix seconds; 0 for none
	role        Role
	asks        bool // it has a question
	live        bool
}

// part is a passage of a document.
type part struct {
	doc   int32
	terms []posting // its terms and their counts
}

const none = -1

// New makes an empty index. It reads w at each search.
func New(w *Weights) *Index {
	return &Index{weights: w, plain: none, terms: map[string]uint32{}, talk: map[string]uint32{}, speaker: map[string]uint32{}, isName: map[uint32]bool{}, spelled: map[rune][]spelled{}}
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

// Words are the terms of a document's passages, those of each sorted.
type Words struct {
	words []string
	ends  []int // of each passage's terms
}

// Words reads a document: that is most of the work of adding it, and changes
// nothing that a Search looks at. They are valid until the next call.
func (x *Index) Words(d *Document) Words {
	w := Words{x.words.words[:0], x.words.ends[:0]}
	x.ends = passage.Split(x.ends[:0], d.Text)
	begin := 0
	for i, end := range x.ends {
		at := len(w.words)
		w.words = x.stems.Append(w.words, d.Speaker)
		w.words = x.stems.Append(w.words, d.Text[begin:end])
		if i == 0 {
			for _, f := range d.Facts {
				w.words = x.stems.Append(w.words, f)
			}
		}
		if !d.Day.IsZero() {
			w.words = terms.AppendDate(w.words, d.Day)
		}
		slices.Sort(w.words[at:])
		w.ends = append(w.ends, len(w.words))
		begin = end
	}
	x.words = w
	return w
}

// Add puts a document behind all others and gives its number. Documents of one
// conversation are added in the order of its turns.
func (x *Index) Add(d *Document) int { return x.AddWords(d, x.Words(d)) }

// AddWords is Add for a document that was read before.
func (x *Index) AddWords(d *Document, words Words) int {
	at := len(x.docs)
	x.docs = append(x.docs, doc{prev: none, next: none, talk: none, speaker: none, role: d.Role, live: true})
	x.live++
	x.place(at, d)
	x.put(at, d, words)
	return at
}

// put gives a document its passages: where it had some, if there is room, else behind
// all others. Twice the room at a time, so that changes leave few empty places.
func (x *Index) put(at int, d *Document, words Words) {
	e := &x.docs[at]
	e.asks = asks(d.Text)
	e.day = 0
	if !d.Day.IsZero() {
		e.day = d.Day.Unix()
		x.days.add(e.day)
	}
	if e.parts = int32(len(words.ends)); e.parts > e.room { //nolint:gosec // fewer than bytes
		e.part, e.room = int32(len(x.parts)), max(e.parts, 2*e.room) //nolint:gosec // a passage's number
		x.parts = append(x.parts, make([]part, e.room)...)
		x.texts.length = append(x.texts.length, make([]float32, e.room)...)
	}
	begin := 0
	for i, end := range words.ends {
		p := int(e.part) + i
		x.parts[p] = part{int32(at), x.count(words.words[begin:end])} //nolint:gosec // a document's number
		x.post(p, 1)
		begin = end
	}
	clear(words.words) // they hold on to the document's text
}

func (d *days) add(day int64) {
	if d.first == 0 || day < d.first {
		d.first = day
	}
	d.last = max(d.last, day)
}

// count gives a passage's terms, each once.
func (x *Index) count(words []string) []posting {
	counted := x.counted[:0]
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		counted = append(counted, posting{x.term(words[i]), uint32(n)})
		i += n
	}
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
		word = strings.Clone(word)
		x.terms[word] = t
		x.spell(word, t)
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
	} else {
		x.follow(at)
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

// follow puts a document that is no turn behind the one that came before it.
func (x *Index) follow(at int) {
	if x.plain != none {
		x.docs[at].prev, x.docs[x.plain].next = x.plain, int32(at) //nolint:gosec // a document's number
	}
	x.plain = int32(at) //nolint:gosec // likewise
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

// post adds a passage's terms to the lists, or with sign -1 takes them out.
func (x *Index) post(at, sign int) {
	p := &x.parts[at]
	talk := x.docs[p.doc].talk
	n := 0
	for _, t := range p.terms {
		l := &x.lists[t.at]
		before := cap(l.parts) + cap(l.talks)
		change(&l.parts, uint32(at), int(t.count)*sign) //nolint:gosec // a passage's number
		if talk != none {
			change(&l.talks, uint32(talk), int(t.count)*sign) //nolint:gosec // a conversation's number
		}
		x.bytes += postingBytes * int64(cap(l.parts)+cap(l.talks)-before)
		n += int(t.count)
	}
	x.tally(at, sign*n)
}

// tally adds n to the terms that are counted of a passage among all.
func (x *Index) tally(at, n int) {
	if n == 0 {
		return
	}
	x.texts.add(at, n)
	if talk := x.docs[x.parts[at].doc].talk; talk != none {
		x.talks.add(int(talk), n)
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
	e := &x.docs[at]
	for p := e.part; p < e.part+e.parts; p++ {
		x.post(int(p), -1)
		x.bytes -= postingBytes * int64(cap(x.parts[p].terms))
		x.parts[p] = part{}
	}
	e.role = d.Role
	x.put(at, d, words)
}
