package terms

import (
	_ "embed"
	"strings"
)

// The irregular forms of English verbs, nouns and adjectives with the words that they
// are forms of, one pair a line: the exception lists of WordNet 3.0, as far as the
// stemmer does not know them (data/WORDNET has the licence).
//
//go:embed data/irregular.txt
var irregularText string

var irregular = func() map[string]string {
	all := make(map[string]string, 4096)
	for line := range strings.Lines(irregularText) {
		if form, base, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			all[form] = base
		}
	}
	return all
}()
