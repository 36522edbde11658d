// Package terms makes the terms of an index out of text: words in lower case
// without stop words, stemmed by the rules of the language that the text is in, without
// the marks of their letters; identifiers such as INV-2041, an
// e-mail address or a version kept whole beside their parts; and pairs of
// characters where a script has no spaces.
package terms

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	text = compatible(text)
	l := languageOf(text)
	for len(text) > 0 {
		start := strings.IndexFunc(text, inWord)
		if start < 0 {
			return dst
		}
		text = text[start:]
		end, plain := plainWord(text)
		if plain {
			dst = s.appendWord(dst, l, l.lower(text[:end]))
		} else {
			end = endOfRun(text)
			dst = s.appendRun(dst, l, text[:end])
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

// Stop reports whether a word in lower case says nothing of what an English text is
// about.
func Stop(word string) bool { return stopsIn(english, word) }

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
func (s Stems) appendRun(dst []string, l language, run string) []string {
	run = l.lower(run)
	if identifier(run) {
		dst = append(dst, cut(folded(run)))
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
		dst = s.appendPieces(dst, l, run[:end])
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

// appendPieces appends a word, in pieces where scripts with and without spaces meet in
// it.
func (s Stems) appendPieces(dst []string, l language, word string) []string {
	for len(word) > 0 {
		end := strings.IndexFunc(word, unspaced)
		if end == 0 {
			end = endOfUnspaced(word)
			dst = appendUnspaced(dst, word[:end])
			word = word[end:]
			continue
		}
		if end < 0 {
			end = len(word)
		}
		dst = s.appendWord(dst, l, word[:end])
		word = word[end:]
	}
	return dst
}

// endOfUnspaced finds where a part of a word ends that is in such a script; Korean and
// the others are parts of their own.
func endOfUnspaced(word string) int {
	first, _ := utf8.DecodeRuneInString(word)
	korean := unicode.Is(unicode.Hangul, first)
	end := strings.IndexFunc(word, func(r rune) bool { return !unspaced(r) || unicode.Is(unicode.Hangul, r) != korean })
	if end < 0 {
		return len(word)
	}
	return end
}

// appendWord appends a word in lower case, if it says something.
func (s Stems) appendWord(dst []string, l language, word string) []string {
	if !ascii(word) {
		switch r, _ := utf8.DecodeRuneInString(word); {
		case unicode.Is(unicode.Cyrillic, r):
			l = russian
		case unicode.Is(unicode.Arabic, r):
			l = arabic
		}
	}
	if word == "" || stopsIn(l, word) {
		return dst
	}
	return append(dst, s.stem(l, cut(word)))
}

// lower is a text in lower case, as a language has it: that of I is no i in Turkish.
func (l language) lower(text string) string {
	if l == turkish {
		return strings.ToLowerSpecial(unicode.TurkishCase, text)
	}
	return strings.ToLower(text)
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
