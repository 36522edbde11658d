package index

import (
	"cmp"
	"unsafe"

	"github.com/ownkey/ownkey/memory/terms"
)

// What is looked for by its spelling is bounded: so many words of a question, and for
// each so many words of the bucket, the newest.
const (
	maxNearWords = 6
	maxNearTerms = 4 << 10
)

// doubt is how much of a word that is known by its spelling counts as unknown, where it
// is judged whether the bucket knows of a question.
const doubt = .8

// spelled is a term whose spelling may be another one's.
type spelled struct {
	word string
	at   uint32
}

// spell notes a new term for those that are nearly so.
func (x *Index) spell(word string, at uint32) {
	if !terms.Spelled(word) {
		return
	}
	first := terms.First(word)
	l := x.spelled[first]
	before := cap(l)
	l = append(l, spelled{word, at})
	x.bytes += int64(cap(l)-before) * int64(unsafe.Sizeof(spelled{}))
	x.spelled[first] = l
}

// near finds the term that a word which stands nowhere may be, if there is one: the
// least edits away, of such the one in the most passages.
func (x *Index) near(word string) (uint32, bool) {
	var best spelled
	least, found := 0, false
	all := x.spelled[terms.First(word)]
	for _, s := range all[max(0, len(all)-maxNearTerms):] {
		n := len(x.lists[s.at].parts)
		if n == 0 {
			continue
		}
		d, near := terms.Near(word, s.word)
		if near && (!found || cmp.Or(cmp.Compare(d, least), cmp.Compare(len(x.lists[best.at].parts), n), cmp.Compare(s.word, best.word)) < 0) {
			best, least, found = s, d, true
		}
	}
	return best.at, found
}
