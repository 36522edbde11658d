// Package worth tells what of a conversation is worth remembering: what a user states,
// not what the user asks or orders, and nothing that a client has written in the user's
// place.
//
// It knows the signs of all scripts and the words of some languages (words.go). What it
// does not know is a statement: rather one turn too many is kept than a fact lost.
package worth

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a turn is.
type Kind uint8

// The kinds.
const (
	// Statement: the turn states something, whatever else it does.
	Statement Kind = iota
	// Question: it asks, and states nothing.
	Question
	// Command: it orders something to be done now, and states nothing. A wish that holds
	// longer ("always answer in French") is a statement.
	Command
	// Courtesy: it greets, thanks or agrees.
	Courtesy
	// Client: it has no word of the user.
	Client
)

// maxRead is what is read of a turn, in bytes, at each end.
const maxRead = 16 << 10

// Of tells what a turn is; it is what [Words] gives. It takes time in proportion to at
// most two times 16 KiB and keeps nothing.
func Of(turn string) Kind {
	if isClients(turn) {
		return Client
	}
	if len(turn) > 2*maxRead {
		turn = turn[:maxRead] + "\n" + turn[len(turn)-maxRead:]
	}
	found := [Client + 1]bool{}
	fenced := false
	for line := range strings.Lines(turn) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~") {
			fenced = !fenced
			continue
		}
		if fenced || line == "" || isCode(line) {
			continue
		}
		for len(line) > 0 {
			end := sentenceEnd(line)
			if k, ok := sentence(line[:end]); ok {
				if k == Statement {
					return Statement
				}
				found[k] = true
			}
			line = line[end:]
		}
	}
	for _, k := range []Kind{Question, Command, Courtesy} {
		if found[k] {
			return k
		}
	}
	if strings.IndexFunc(turn, unicode.IsLetter) >= 0 || strings.IndexFunc(turn, unicode.IsDigit) >= 0 {
		return Statement // code alone: nobody knows what for
	}
	return Courtesy
}

// isCode reports whether a line is of a program or of data, by its signs.
func isCode(line string) bool {
	letters, signs := 0, 0
	for _, r := range line {
		switch {
		case unicode.IsLetter(r):
			letters++
		case strings.ContainsRune("{}()[]<>=;/\\|&%$#@*+_^~\"`", r):
			signs++
		}
	}
	return signs*4 > letters && signs > 1
}

// sentenceEnd gives where the first sentence of a line ends.
func sentenceEnd(line string) int {
	for i, r := range line {
		end := i + utf8.RuneLen(r)
		switch r {
		case '。', '！', '？', '؟', '।':
			return end
		case '.', '!', '?', '…':
			if end == len(line) || line[end] == ' ' || line[end] == '"' || line[end] == ')' {
				return end
			}
		}
	}
	return len(line)
}

// sentence tells what one sentence does; ok is false if it has no word.
func sentence(text string) (k Kind, ok bool) {
	all := wordsOf(text)
	if len(all) == 0 {
		return 0, false
	}
	rest := all
	for len(rest) > 0 && courtesies[rest[0]] {
		rest = rest[1:]
	}
	switch {
	case len(rest) == 0, thanks[all[0]] && len(all) <= maxThanks && !strings.ContainsAny(text, ",;:"):
		return Courtesy, true
	case standing(rest):
		return Statement, true
	case asks(text, rest):
		if states(text) {
			return Statement, true
		}
		return Question, true
	case commands[rest[0]] && !states(text):
		return Command, true
	}
	return Statement, true
}

// standing reports whether a sentence tells something to be kept, or a wish that holds
// on.
func standing(all []string) bool {
	for _, w := range all {
		if lasting[w] {
			return true
		}
	}
	text := strings.Join(all[:min(len(all), 6)], " ") + " "
	for _, p := range keeping {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// asks reports whether a sentence asks: by its signs, else by how it begins.
func asks(text string, all []string) bool {
	if strings.ContainsAny(text, "?？؟¿") {
		return true
	}
	if first, _ := utf8.DecodeRuneInString(all[0]); unicode.In(first, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
		return asksUnspaced(text)
	}
	first, second := all[0], ""
	if len(all) > 1 {
		second = all[1]
	}
	switch {
	case strings.ContainsRune(text, ','), strings.HasSuffix(strings.TrimSpace(text), "!"):
		return false // a clause before a statement, or an outcry
	case contracted[first]:
		return true
	case askingWords[first]:
		return second != "" && !subjects[second]
	case doubtfulWords[first]:
		return auxiliaries[second]
	case auxiliaries[first]:
		return subjects[second]
	}
	for _, end := range []string{"-tu", "-vous", "-il", "-elle", "-je", "-on", "-ils", "-elles", "-nous", "-ce"} {
		if strings.HasSuffix(first, end) {
			return true
		}
	}
	return false
}

// maxUnspaced is how long a question without a question mark is, in characters, in a
// script that does not part words: a longer sentence may speak of something unknown.
const maxUnspaced = 24

func asksUnspaced(text string) bool {
	text = strings.TrimRightFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, end := range unspacedEnds {
		if strings.HasSuffix(text, end) {
			return true
		}
	}
	if utf8.RuneCountInString(text) > maxUnspaced {
		return false
	}
	for _, w := range unspacedAsks {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// states reports whether a sentence that asks or orders says something of the user in
// passing: in a clause of its own that begins with them, or gives a reason.
func states(text string) bool {
	for i, clause := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;:—–，；：、", r) }) {
		all := wordsOf(clause)
		for len(all) > 0 && (courtesies[all[0]] || joining[all[0]]) {
			all = all[1:]
		}
		if len(all) >= leastClause && (firstPersons[all[0]] && (i > 0 || !strings.ContainsAny(clause, "?？؟")) || i > 0 && relatives[all[0]]) {
			return true
		}
	}
	low := " " + strings.Join(wordsOf(text), " ")
	for _, r := range reasons {
		if _, behind, ok := strings.Cut(low, r); ok {
			if next, _, _ := strings.Cut(behind, " "); firstPersons[next] {
				return true
			}
		}
	}
	return false
}

// leastClause is how many words a clause has at least that states something: "I live in
// Oslo" has, and "I think" has not.
const leastClause = 3

// maxThanks is how many words thanks take at most: "thanks for your help with that".
const maxThanks = 6

// wordsOf gives the first words of a text, in lower case.
func wordsOf(text string) (all []string) {
	const most = 64
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\'' && r != '’' && r != '-'
	}) {
		if w = strings.Trim(w, "-'’"); w == "" {
			continue
		}
		all = append(all, strings.ReplaceAll(strings.ToLower(w), "’", "'"))
		if len(all) == most {
			break
		}
	}
	return all
}
