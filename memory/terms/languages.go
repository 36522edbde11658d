package terms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// language is one whose words are stemmed by its own rules. Which one a text is in is
// judged for the Latin script only; other scripts say it themselves.
type language uint8

// The languages. English is what a text is in that shows no other one.
const (
	english language = iota
	german
	french
	spanish
	italian
	portuguese
	dutch
	turkish
	latins // how many there are in Latin script
	russian
	arabic
)

// languages are some of those in Latin script, as bits.
type languages uint16

// inLatin are all that are judged.
const inLatin = languages(1<<latins - 1)

func (l language) bit() languages { return 1 << l }

// Languages are judged by no more words of a text than these: that is a page's first
// sentences.
const judgedWords = 48

// sure is by how many words English has to be ahead to be looked no further.
const sure = 3

// languageOf judges the language of a text by its stop words, and by letters that only
// some languages have.
func languageOf(text string) language {
	var votes [latins]int
	others := 0 // the most that any other language has
	var buf [maxVoteBytes]byte
	for range judgedWords {
		start := strings.IndexFunc(text, inWord)
		if start < 0 {
			break
		}
		if start > 0 && others == 0 && votes[english] == 0 && strings.ContainsAny(text[:start], "¿¡") {
			votes[spanish], others = 1, 1
		}
		text = text[start:]
		word, size := votable(buf[:0], text)
		text = text[size:]
		of := stopWords[string(word)] & inLatin
		switch {
		case len(word) < 2: // such as that of an initial
			of = 0
		case of == 0:
			of = lettersOf(word)
		}
		for l := english; of != 0; l, of = l+1, of>>1 {
			if of&1 == 0 {
				continue
			}
			votes[l]++
			if l != english {
				others = max(others, votes[l])
			}
		}
		if votes[english] >= others+sure {
			return english
		}
	}
	best := english
	for l := german; l < latins; l++ {
		if votes[l] > votes[best] {
			best = l
		}
	}
	return best
}

// maxVoteBytes is more than any stop word has.
const maxVoteBytes = 24

// votable appends the word that a text begins with, in lower case and cut off, and
// says how many bytes of the text it takes.
func votable(dst []byte, text string) (word []byte, size int) {
	for size < len(text) {
		c := text[size]
		if c < utf8.RuneSelf {
			if !inWord(rune(c)) {
				break
			}
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			if len(dst) < cap(dst) {
				dst = append(dst, c)
			}
			size++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[size:])
		if !inWord(r) {
			break
		}
		if len(dst)+utf8.UTFMax <= cap(dst) {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		size += n
	}
	return dst, size
}

// lettersOf says which languages a word is in by letters that others do not have.
func lettersOf(word []byte) languages {
	all, found := inLatin, false
	for i := 0; i < len(word); {
		if word[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(word[i:])
		i += n
		if of := letters[r]; of != 0 {
			all, found = all&of, true
		}
	}
	if !found {
		return 0
	}
	return all
}

// letters are those beyond ASCII, with the languages that write them.
var letters = func() map[rune]languages {
	all := map[rune]languages{}
	for of, set := range map[language]string{
		german:     "äöüß",
		french:     "éèêëàâîïôûùüçœ",
		spanish:    "áéíóúñü",
		italian:    "àèéìòù",
		portuguese: "áâãàçéêíóôõú",
		dutch:      "ëï",
		turkish:    "çğıöşüâ",
	} {
		for _, r := range set {
			all[r] |= of.bit()
		}
	}
	return all
}()

// stopsIn reports whether a word in lower case says nothing in a text of a language.
func stopsIn(l language, word string) bool { return stopWords[word]&l.bit() != 0 }
