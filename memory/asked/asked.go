// Package asked tells what a user's turn asks from what stands around it: people
// write their question between a greeting, a wish for the form of the answer, code,
// logs and quotes, and programs put texts of their own beside it. None of that is
// what memories are to be found by.
//
// It knows the signs of all scripts and the words of some languages (words.go). A
// language that it does not know loses nothing: its sentences are all kept.
package asked

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentence is one that memories are looked for with.
type Sentence struct {
	// Text is a part of the turn, whose bytes it shares.
	Text string
	// Asks: it is a question or asks for something. Of a turn in which none does, all
	// sentences say what it is about.
	Asks bool
}

const (
	// MaxSentences bounds what is kept of a turn: the first and the last of what
	// asks, then what stands nearest to its end.
	MaxSentences = 8
	// maxRead is what is read of each end of a turn, in bytes. A question stands
	// before what was pasted, or behind it.
	maxRead = 8 << 10
	// maxSentence is where a sentence is cut, in bytes: a text without a stop is no
	// longer one than this.
	maxSentence = 1 << 10
)

// Read appends the sentences of a turn to dst, in their order. What the user wrote
// stands from own on; before it stand texts that a program put into the same turn,
// which never ask. It takes time in proportion to at most two times 8 KiB and keeps
// nothing.
func Read(dst []Sentence, turn string, own int) []Sentence {
	kept := len(dst)
	dst = read(dst, turn[own:], false)
	if len(dst) == kept { // all that the user wrote stands in tags, which programs do for some
		dst = read(dst, turn[own:], true)
	}
	before := len(dst)
	if own > 0 && before-kept < MaxSentences {
		dst = read(dst, turn[:own], false)
		for i := before; i < len(dst); i++ {
			dst[i].Asks = before == kept && dst[i].Asks
		}
		rotate(dst[kept:], before-kept)
	}
	return append(dst[:kept], most(dst[kept:])...)
}

// rotate moves the first n to the end.
func rotate(all []Sentence, n int) {
	slices.Reverse(all[:n])
	slices.Reverse(all[n:])
	slices.Reverse(all)
}

// read appends the sentences of a text, of a long one those at its two ends: whole
// lines, where there are any.
func read(dst []Sentence, text string, tags bool) []Sentence {
	if len(text) > 2*maxRead {
		first := text[:ends(text, maxRead)]
		if at := strings.LastIndexByte(first, '\n'); at >= 0 {
			first = first[:at]
		}
		dst = readAll(dst, first, tags)
		text = text[ends(text, len(text)-maxRead):]
		if _, behind, ok := strings.Cut(text, "\n"); ok && behind != "" {
			text = behind
		}
	}
	return readAll(dst, text, tags)
}

// ends gives where a character begins, at or before at.
func ends(text string, at int) int {
	for at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

func readAll(dst []Sentence, text string, tags bool) []Sentence {
	fence := ""
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\n")
		trimmed := strings.TrimSpace(line)
		switch mark := fenceOf(trimmed); {
		case fence != "":
			if mark == fence {
				fence = ""
			}
		case mark != "":
			fence = mark
		case !tags && strings.HasPrefix(trimmed, "<"):
			if behind, ok := behindTag(text[strings.IndexByte(text, '<'):]); ok {
				text = behind
				continue
			}
			dst = readLine(dst, line, trimmed)
		case introduces(trimmed, rest):
		default:
			dst = readLine(dst, line, trimmed)
		}
		text = rest
	}
	return dst
}

// fenceOf gives the mark that a fenced block of Markdown begins and ends with.
func fenceOf(line string) string {
	for _, mark := range []string{"```", "~~~"} {
		if strings.HasPrefix(line, mark) {
			return mark
		}
	}
	return ""
}

// introduces reports whether a line says who wrote the quote behind it, and when, as
// mail programs put it: "On Tue, 3 Nov 2026 at 09:12, Ada <ada@example.com> wrote:".
func introduces(line, rest string) bool {
	if !strings.HasSuffix(line, ":") || !strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ">") {
		return false
	}
	for i := 1; i+1 < len(line); i++ {
		if c := line[i]; c == '@' || c == ':' && digit(line[i-1]) && digit(line[i+1]) {
			return true
		}
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// behindTag gives what follows an element that begins a text and ends in it; what
// programs put beside a user's words stands in one. Those in which programs put the
// user's own words are read.
func behindTag(text string) (string, bool) {
	end := strings.IndexAny(text, "> \t\n")
	if end < 2 || !isName(text[1:end]) {
		return "", false
	}
	name := text[1:end]
	if usersTags[strings.ToLower(name)] {
		_, behind, ok := strings.Cut(text, ">")
		return behind, ok
	}
	_, behind, ok := strings.Cut(text, "</"+name+">")
	return behind, ok
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') && (i == 0 || c != '-' && c != '_' && c != ':' && c != '.') {
			return false
		}
	}
	return s != ""
}

// readLine appends a line's sentences, unless it is code, a log or a quote.
func readLine(dst []Sentence, line, trimmed string) []Sentence {
	if trimmed == "" || strings.HasPrefix(trimmed, ">") || strings.HasPrefix(trimmed, "</") || isCode(line) {
		return dst
	}
	for len(trimmed) > 0 {
		end := sentenceEnd(trimmed)
		if s, ok := judge(strings.TrimSpace(trimmed[:end])); ok {
			dst = append(dst, s)
		}
		trimmed = trimmed[end:]
	}
	return dst
}

// isCode reports whether a line is of a program, of data or of a log: it begins or ends
// as those do, or has a quarter as many signs and digits as letters, which is more than
// prose has; prose is indented seldom.
func isCode(line string) bool {
	trimmed := strings.TrimSpace(line)
	if codeBegins(trimmed) || strings.ContainsRune("{(;[", rune(trimmed[len(trimmed)-1])) {
		return true
	}
	letters, signs := 0, 0
	for _, r := range trimmed {
		switch {
		case unicode.IsLetter(r):
			letters++
		case r >= '0' && r <= '9':
			signs++
		case strings.ContainsRune("{}()[]<>=;:/\\|&%$#@*+_^~\"`", r):
			signs += 2
		}
	}
	share := 2 // for twice the signs: digits count half, as a question may have a year
	if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "    ") {
		share = 4
	}
	return signs*share > letters
}

func codeBegins(line string) bool {
	for _, begin := range []string{"//", "#!", "/*", "|", "Traceback (", "from __future__"} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	first, rest, _ := strings.Cut(line, " ")
	switch first {
	case "at", "import", "return", "package", "using", "#include": // a word of prose, too, but for what follows
		return !strings.Contains(rest, " ") && rest != ""
	}
	for _, end := range []string{"Error:", "Exception:", "Warning:"} { // such as ValueError:
		if strings.HasSuffix(first, end) && len(first) > len(end) {
			return true
		}
	}
	return false
}

// sentenceEnd gives where the first sentence of a line ends. A stop behind a single
// letter ends none: it is an initial or an abbreviation.
func sentenceEnd(line string) int {
	for i, r := range line {
		end := i + utf8.RuneLen(r)
		switch r {
		case '。', '！', '？', '؟', '।':
			return end
		case '.', '!', '?', '…':
			if end < len(line) && line[end] != ' ' && line[end] != '\t' || r == '.' && initial(line[:i]) {
				continue
			}
			return end
		case ':':
			if end < len(line) && line[end] == ' ' && content(line[:i]) == 0 { // as in "one more question: who …"
				return end
			}
		}
		if end >= maxSentence {
			return end
		}
	}
	return len(line)
}

// initial reports whether a text ends in a single letter.
func initial(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	if !unicode.IsLetter(r) || r == 'I' {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(text[:len(text)-n])
	return before == ' ' || before == '.' || len(text) == n
}

// most keeps the sentences that bear most on what is asked.
func most(all []Sentence) []Sentence {
	if len(all) <= MaxSentences {
		return all
	}
	asks := 0
	for i := range all {
		if all[i].Asks {
			asks++
		}
	}
	kept, seen := all[:0], 0
	others := max(0, MaxSentences-asks) // of those that ask nothing: the last
	left := len(all) - asks
	for _, s := range all {
		if s.Asks {
			if seen++; asks <= MaxSentences || seen <= MaxSentences/2 || seen > asks-MaxSentences/2 {
				kept = append(kept, s)
			}
			continue
		}
		if left <= others {
			kept = append(kept, s)
		}
		left--
	}
	return kept
}
