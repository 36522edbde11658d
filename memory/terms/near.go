package terms

import (
	"unicode"
	"unicode/utf8"
)

// Lengths, in letters, of words that are compared by their spelling: shorter ones differ
// by a letter and mean something else. Two edits need a word where they are a small part,
// and so does an ending that no rule has taken off.
const (
	shortestNear  = 4
	shortestTwo   = 8
	shortestBegin = 5
	longestEnding = 3
	surelyBegun   = 2 // letters before the first of two edits
)

// Spelled reports whether a term is a word whose spelling may be wrong: long enough, of
// letters only, and of a script that parts its words.
func Spelled(term string) bool {
	n := 0
	for _, r := range term {
		if !unicode.IsLetter(r) || unspaced(r) {
			return false
		}
		n++
	}
	return n >= shortestNear
}

// Near reports whether two terms that are Spelled and begin with the same letter may be
// one word: one is the other with a letter wrong, missing, too many or in its neighbour's
// place, with two of that in long words, or with an ending behind it. The smaller
// distance is, the surer. It takes time in proportion to the shorter word.
func Near(term, other string) (distance int, near bool) {
	if d := len(term) - len(other); d > 2*longestEnding || d < -2*longestEnding {
		return 0, false
	}
	if term == other {
		return 0, true
	}
	letter := 1 // how many bytes it has at most: Latin terms have no marks
	if other != "" && other[0] >= utf8.RuneSelf {
		letter = utf8.UTFMax
	}
	begin := begins(term, other)
	if begin < surelyBegun && begin+ends(term, other) < min(len(term), len(other))-2*letter {
		return 0, false
	}
	var x, y [maxTermBytes]rune
	a, b := runes(x[:0], term), runes(y[:0], other)
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < shortestNear || a[0] != b[0] || len(b)-len(a) > longestEnding {
		return 0, false
	}
	same := 0
	for same < len(a) && a[same] == b[same] {
		same++
	}
	if same == len(a) && (same >= shortestBegin || len(b)-len(a) == 1) {
		return len(b) - len(a), true
	}
	most := 1
	if len(a) >= shortestTwo && same >= surelyBegun {
		most = 2
	}
	distance = edits(a[same:], b[same:], most)
	if distance > most || len(a) == shortestNear && len(b) == len(a) && !swapped(a[same:], b[same:]) { // such as cake and cafe
		return 0, false
	}
	return distance, true
}

func runes(dst []rune, word string) []rune {
	for _, r := range word {
		if len(dst) == cap(dst) {
			break
		}
		dst = append(dst, r)
	}
	return dst
}

// begins and ends are how many bytes two words have in common in front and behind.
func begins(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func ends(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// swapped reports whether two words differ by their first two letters' order only.
func swapped(a, b []rune) bool {
	return len(a) > 1 && a[0] == b[1] && a[1] == b[0] && string(a[2:]) == string(b[2:])
}

// edits counts how many edits lead from one word to another one, of which none is made
// twice at one place; more than most is most+1. They do not begin with the same letter.
func edits(a, b []rune, most int) int {
	switch {
	case len(b)-len(a) > most || len(a)-len(b) > most:
		return most + 1
	case len(a) == 0 || len(b) == 0:
		return len(a) + len(b)
	case a[0] == b[0]:
		return edits(a[1:], b[1:], most)
	case most == 0:
		return 1
	}
	least := min(edits(a[1:], b[1:], most-1), edits(a, b[1:], most-1), edits(a[1:], b, most-1))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		least = min(least, edits(a[2:], b[2:], most-1))
	}
	return 1 + least
}

// First is the letter that terms begin with which may be near this one.
func First(term string) rune {
	r, _ := utf8.DecodeRuneInString(term)
	return r
}
