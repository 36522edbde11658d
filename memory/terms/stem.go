package terms

import (
	"sync"

	"github.com/blevesearch/snowballstem"
	arabicstem "github.com/blevesearch/snowballstem/arabic"
	dutchstem "github.com/blevesearch/snowballstem/dutch"
	englishstem "github.com/blevesearch/snowballstem/english"
	frenchstem "github.com/blevesearch/snowballstem/french"
	germanstem "github.com/blevesearch/snowballstem/german"
	italianstem "github.com/blevesearch/snowballstem/italian"
	portuguesestem "github.com/blevesearch/snowballstem/portuguese"
	russianstem "github.com/blevesearch/snowballstem/russian"
	spanishstem "github.com/blevesearch/snowballstem/spanish"
	turkishstem "github.com/blevesearch/snowballstem/turkish"
)

// rules are Snowball's stemmers; English is Porter2.
var rules = [...]func(*snowballstem.Env) bool{
	english: englishstem.Stem, german: germanstem.Stem, french: frenchstem.Stem, spanish: spanishstem.Stem, italian: italianstem.Stem,
	portuguese: portuguesestem.Stem, dutch: dutchstem.Stem, turkish: turkishstem.Stem, russian: russianstem.Stem, arabic: arabicstem.Stem,
}

var stemmers = sync.Pool{New: func() any { return snowballstem.NewEnv("") }}

// stem is what the forms of a word have in common: by the rules of its language, and
// without the marks of its letters.
func (s Stems) stem(l language, word string) string {
	if l == english && unchanged(word) && ascii(word) {
		if base, ok := irregular[word]; ok {
			word = base
		} else {
			return word
		}
	}
	var buf [maxTermBytes + 2]byte
	key := word
	if l != english {
		b := append(append(buf[:0], byte(l)), word...)
		if stem, ok := s[string(b)]; ok {
			return stem
		}
	} else if stem, ok := s[word]; ok {
		return stem
	}
	stem := stemmed(l, word)
	if s != nil {
		if l != english {
			key = string(append([]byte{byte(l)}, word...))
		}
		s[key] = stem
	}
	return stem
}

// stemmed is stem without a memory.
func stemmed(l language, word string) string {
	switch l {
	case english:
		if base, ok := irregular[word]; ok {
			word = base
		}
		word = folded(word)
	case german:
		word = umlauts(word)
	case russian:
		word = folded(word)
	}
	e := stemmers.Get().(*snowballstem.Env) //nolint:forcetypeassert // the pool's New
	defer stemmers.Put(e)
	e.SetCurrent(word)
	rules[l](e)
	if stem := folded(e.Current()); stem != "" {
		return stem
	}
	return word
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
