// Package terms makes the terms of an index out of text: words in lower case
// without stop words, stemmed as English; identifiers such as INV-2041, an
// e-mail address or a version kept whole beside their parts; and pairs of
// characters where a script has no spaces.
package terms

import (
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// maxTermBytes is where a word is cut off. No language needs more; base64 that
// was pasted into a text does.
const maxTermBytes = 64

// Append appends the terms of text to dst. The same text gives the same terms,
// whether it is stored or asked for.
func Append(dst []string, text string) []string { return Stems(nil).Append(dst, text) }

// Stems remembers the stems of words, for whoever reads many texts in a row:
// stemming is most of the work, and words come again. A nil one remembers
// nothing. It belongs to one bucket: what takes less time tells what was there
// before.
type Stems map[string]string

// Append appends the terms of text to dst, like the function.
func (s Stems) Append(dst []string, text string) []string {
	for len(text) > 0 {
		start := strings.IndexFunc(text, inWord)
		if start < 0 {
			return dst
		}
		text = text[start:]
		end, plain := plainWord(text)
		if plain {
			dst = s.appendPlain(dst, strings.ToLower(text[:end]))
		} else {
			end = endOfRun(text)
			dst = s.appendRun(dst, text[:end])
		}
		text = text[end:]
	}
	return dst
}

// plainWord finds the end of a word of ASCII that nothing is joined to, as most
// are; plain is false if it has to be looked at more closely.
func plainWord(s string) (end int, plain bool) {
	for end < len(s) && s[end] < utf8.RuneSelf && inWord(rune(s[end])) {
		end++
	}
	next := end
	if next < len(s) && joins(rune(s[next])) { // such as the stop behind a sentence
		next++
	}
	return end, next == len(s) || s[next] < utf8.RuneSelf && !inWord(rune(s[next]))
}

// AppendDate appends the terms of a day, as one would ask for it: 8, May, 2023.
func AppendDate(dst []string, day time.Time) []string {
	return Append(dst, day.UTC().Format("2 January 2006"))
}

// Stop reports whether a word in lower case says nothing of what a text is
// about.
func Stop(word string) bool { return stopWords[word] }

func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// joins reports whether a character may stand inside an identifier.
func joins(r rune) bool {
	switch r {
	case '-', '_', '.', '@', '/', ':', '#', '+', '\'', '’':
		return true
	}
	return false
}

// endOfRun finds where words that are joined without a space end.
func endOfRun(s string) int {
	end := 0 // behind the last character of a word
	for i, r := range s {
		switch {
		case inWord(r):
			end = i + utf8.RuneLen(r)
		case !joins(r) || i > end: // two joints in a row do not join
			return end
		}
	}
	return end
}

// appendRun appends the words of a run, and the run itself if it is an
// identifier.
func (s Stems) appendRun(dst []string, run string) []string {
	run = strings.ToLower(run)
	if identifier(run) {
		dst = append(dst, cut(run))
	}
	for len(run) > 0 {
		start := strings.IndexFunc(run, inWord)
		if start < 0 {
			return dst
		}
		run = run[start:]
		end := strings.IndexFunc(run, func(r rune) bool { return !inWord(r) })
		if end < 0 {
			end = len(run)
		}
		dst = s.appendWord(dst, run[:end])
		run = run[end:]
		run = strings.TrimPrefix(strings.TrimPrefix(run, "’s"), "'s")
	}
	return dst
}

// identifier reports whether a run means something as a whole: it has a joint
// and a digit, or is an address.
func identifier(run string) bool {
	joint, digit := false, false
	for _, r := range run {
		joint = joint || joins(r) && r != '\'' && r != '’'
		digit = digit || unicode.IsDigit(r)
	}
	return joint && digit || strings.ContainsRune(run, '@')
}

// appendWord appends a word, in pieces where scripts with and without spaces
// meet in it.
func (s Stems) appendWord(dst []string, word string) []string {
	for len(word) > 0 {
		end := strings.IndexFunc(word, unspaced)
		if end == 0 {
			end = strings.IndexFunc(word, func(r rune) bool { return !unspaced(r) })
			if end < 0 {
				end = len(word)
			}
			dst = appendPairs(dst, word[:end])
			word = word[end:]
			continue
		}
		if end < 0 {
			end = len(word)
		}
		if piece := word[:end]; ascii(piece) {
			dst = s.appendPlain(dst, piece)
		} else {
			dst = append(dst, cut(piece))
		}
		word = word[end:]
	}
	return dst
}

func (s Stems) appendPlain(dst []string, word string) []string {
	if word == "" || stopWords[word] {
		return dst
	}
	return append(dst, s.stem(cut(word)))
}

// stemmers are Snowball's English ones (Porter2).
var stemmers = sync.Pool{New: func() any { return snowballstem.NewEnv("") }}

func (s Stems) stem(word string) string {
	if unchanged(word) {
		return word
	}
	if stem, ok := s[word]; ok {
		return stem
	}
	e := stemmers.Get().(*snowballstem.Env) //nolint:forcetypeassert // the pool's New
	defer stemmers.Put(e)
	e.SetCurrent(word)
	english.Stem(e)
	stem := e.Current()
	if s != nil {
		s[word] = stem
	}
	return stem
}

// unchanged reports whether no rule of the English stemmer is about words that
// end like this one (https://snowballstem.org/algorithms/english/stemmer.html):
// half of all words, which need not be looked at by all rules.
func unchanged(word string) bool {
	n := len(word)
	if n < 3 {
		return false
	}
	switch before := word[n-2]; word[n-1] {
	case 'a', 'b', 'f', 'h', 'j', 'k', 'o', 'p', 'q', 'u', 'v', 'w', 'x', 'z':
		return true
	case 'c':
		return before != 'i'
	case 'd':
		return before != 'e'
	case 'g', 't':
		return before != 'n'
	case 'm':
		return before != 's'
	case 'n':
		return before != 'o'
	case 'r':
		return before != 'e' && before != 'o'
	}
	return false
}

// appendPairs appends each pair of neighbours of a text without spaces; a
// single character stands for itself.
func appendPairs(dst []string, text string) []string {
	last := -1
	for i, r := range text {
		if last >= 0 {
			dst = append(dst, text[last:i+utf8.RuneLen(r)])
		}
		last = i
	}
	if last == 0 {
		dst = append(dst, text)
	}
	return dst
}

// unspaced reports whether a character belongs to a script that does not part
// its words: Chinese, Japanese, Korean (whose particles stick to words) and
// Thai.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)
}

func cut(word string) string {
	if len(word) <= maxTermBytes {
		return word
	}
	end := maxTermBytes
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

func ascii(word string) bool {
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
