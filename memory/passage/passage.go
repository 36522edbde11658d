// Package passage parts long texts into passages: what is found of them and put into
// a request. A text of a page that is found as a whole is too long to be put in, and
// the words of one question are few among all of its own.
package passage

import (
	"strings"
	"unicode/utf8"
)

const (
	// most is how long a passage is, in bytes: a paragraph. On dialogues with
	// assistants, whose answers are pages, 400 to 900 find as much
	// (go run ./benchmarks/recall).
	most = 600
	// whole is what is not parted: a rest that is shorter than a third says little
	// by itself.
	whole = most + most/3
)

// Split appends to dst where each passage of a text ends, in bytes; the last one ends
// with the text. Passages end at the end of a line or a sentence, else between words,
// else between characters. It takes time in proportion to the text, and gives the same
// for the same text.
func Split(dst []int, text string) []int {
	begin := 0
	for len(text)-begin > whole {
		begin += cut(text[begin : begin+most])
		dst = append(dst, begin)
	}
	return append(dst, len(text))
}

// cut gives where a part of a text is best cut off: not in its first third, unless it
// has no better place.
func cut(text string) int {
	const least = most / 3
	if at := strings.LastIndexByte(text, '\n'); at >= least {
		return at + 1
	}
	space := 0
	for end := len(text); end > least; {
		r, n := utf8.DecodeLastRuneInString(text[:end])
		switch r {
		case '。', '！', '？', '؟', '।', '…':
			return end
		case '.', '!', '?':
			if end < len(text) && text[end] == ' ' {
				return end + 1
			}
		case ' ':
			space = max(space, end)
		}
		end -= n
	}
	if space > 0 {
		return space
	}
	end := len(text)
	for end > 0 && !utf8.FullRuneInString(text[lastRune(text[:end]):end]) {
		end = lastRune(text[:end])
	}
	return max(end, 1)
}

// lastRune gives where the last character of a text begins, whole or not.
func lastRune(text string) int {
	at := len(text) - 1
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return max(at, 0)
}
