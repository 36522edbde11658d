package memory

import (
	"iter"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/ownkey/ownkey/memory/asked"
	"github.com/ownkey/ownkey/wire"
)

const (
	// maxSaid is how much is read of what a request says already, in bytes; the newest
	// counts. 200 KB take some two milliseconds
	// (go test ./memory -bench BenchmarkSaid).
	maxSaid = 512 << 10
	// maxTries is how many places are compared with a text: its first two words may
	// stand everywhere.
	maxTries = 4096
)

// said knows the words that a request says, in their order, so that whether a text
// stands in them is found out in the time that the text takes. Case and signs do not
// count. It is not safe for concurrent use.
type said struct {
	prefix []uint64 // prefix[i] stands for the first i words
	power  []uint64 // power[n] is what the place of n words is worth
	words  []uint64
	heads  []int32 // by a digest of two words: the last place where they stand, plus one
	next   []int32 // by place: the one before with the same digest, plus one
	asks   []span  // of the question at hand: a statement in it is asked for, not said
	text   []uint64
}

// span are the places from one to before another.
type span struct{ from, to int }

// wordBase makes the places of words count; any odd number with mixed bits does.
const wordBase = 0x9e3779b97f4a7c15

var saids = sync.Pool{New: func() any { return &said{} }}

// read takes in what a request says. question is the turn at hand, whose last part
// begins at own.
func (s *said) read(texts iter.Seq[wire.Text], question string, own int) {
	s.words, s.asks = s.words[:0], s.asks[:0]
	for text := range texts {
		if b := text.Reveal(); len(s.asks) == 0 && string(b) == question {
			s.readQuestion(question, own)
		} else {
			s.readWords(b)
		}
		s.words = append(s.words, 0) // no text goes on in the next
	}
	n := len(s.words)
	s.prefix, s.power, s.next = append(s.prefix[:0], 0), append(s.power[:0], 1), s.next[:0]
	size := 1 << bits.Len(uint(n))
	if cap(s.heads) < size {
		s.heads = make([]int32, size)
	}
	s.heads = s.heads[:size]
	clear(s.heads)
	for i := range n {
		s.prefix = append(s.prefix, s.prefix[i]*wordBase+s.words[i])
		s.power = append(s.power, s.power[i]*wordBase)
		s.next = append(s.next, 0)
		if i+1 < n {
			at := &s.heads[s.slot(s.words[i], s.words[i+1])]
			s.next[i], *at = *at, int32(i+1)
		}
	}
}

func (s *said) readWords(text []byte) {
	for w := range wordsOf(text) {
		s.words = append(s.words, w)
	}
}

// readQuestion takes in the turn at hand and notes where it asks.
func (s *said) readQuestion(question string, own int) {
	rest := question
	for _, sentence := range asked.Read(nil, question, own) {
		before, behind, ok := strings.Cut(rest, sentence.Text)
		if !sentence.Asks || !ok {
			continue
		}
		s.readWords([]byte(before))
		from := len(s.words)
		s.readWords([]byte(sentence.Text))
		s.asks = append(s.asks, span{from, len(s.words)})
		rest = behind
	}
	s.readWords([]byte(rest))
}

// asksFor reports whether the words at a place are a part of what is asked.
func (s *said) asksFor(at, n int) bool {
	return slices.ContainsFunc(s.asks, func(q span) bool { return q.from <= at && at+n <= q.to && n < q.to-q.from })
}

func (s *said) slot(first, second uint64) uint64 {
	return (first*wordBase ^ second) * wordBase >> 20 & uint64(len(s.heads)-1) //nolint:gosec // there is at least one
}

// has reports whether the request says a text: all of it, in one piece, and not as a
// part of the question at hand, unless it asks itself. What was
// removed from the text as a secret counts as said, and a text without words is not.
func (s *said) has(text string) bool {
	found := false
	for part := range strings.SplitSeq(text, removed) {
		switch s.hasPart(part) {
		case absent:
			return false
		case present:
			found = true
		}
	}
	return found
}

// presence is what is known of a part of a text.
type presence uint8

const (
	wordless presence = iota
	absent
	present
)

func (s *said) hasPart(text string) presence {
	s.text = s.text[:0]
	tried := false
	for w := range wordsOf([]byte(text)) {
		s.text = append(s.text, w)
		if len(s.text) == 2 && !tried {
			if tried = true; s.heads[s.slot(s.text[0], s.text[1])] == 0 {
				return absent
			}
		}
	}
	n, asks := len(s.text), strings.ContainsAny(text, "?？؟")
	switch {
	case n == 0:
		return wordless
	case n > len(s.words):
		return absent
	case n == 1:
		for i, w := range s.words {
			if w == s.text[0] && (asks || !s.asksFor(i, 1)) {
				return present
			}
		}
		return absent
	}
	want := uint64(0)
	for _, w := range s.text {
		want = want*wordBase + w
	}
	at := s.heads[s.slot(s.text[0], s.text[1])]
	for tries := 0; at > 0 && tries < maxTries; tries++ {
		i := int(at - 1)
		if i+n <= len(s.words) && s.prefix[i+n]-s.prefix[i]*s.power[n] == want && (asks || !s.asksFor(i, n)) {
			return present
		}
		at = s.next[i]
	}
	return absent
}

// wordsOf gives a digest of each word of a text: of letters and digits, without case. In
// scripts that do not part words, each character is one.
func wordsOf(text []byte) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		const begin, prime = 14695981039346656037, 1099511628211 // FNV-1a
		h, in := uint64(begin), false
		for i := 0; i < len(text); {
			r, n := rune(text[i]), 1
			letter := 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
			switch {
			case letter:
			case 'A' <= r && r <= 'Z':
				r, letter = r+'a'-'A', true
			case r >= utf8.RuneSelf:
				r, n = utf8.DecodeRune(text[i:])
				if letter = unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r); letter {
					r = unicode.ToLower(r)
				}
			}
			i += n
			alone := letter && r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
			if in && (!letter || alone) {
				if !yield(h | 1) {
					return
				}
				h, in = begin, false
			}
			if !letter {
				continue
			}
			h, in = (h^uint64(r))*prime, true //nolint:gosec // no rune is negative
			if alone {
				if !yield(h | 1) {
					return
				}
				h, in = begin, false
			}
		}
		if in {
			yield(h | 1)
		}
	}
}
