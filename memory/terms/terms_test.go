package terms

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	englishstem "github.com/blevesearch/snowballstem/english"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Ada's bees were buzzing, and the bee buzzed.": "ada bee buzz bee buzz",
		"I don't know what you mean":                   "know mean",
		"Invoice INV-2041 of 2026":                     "invoic inv-2041 inv 2041 2026",
		"mail ada.l@example.org today!":                "mail ada.l@example.org ada l exampl org today",
		"version v1.2.3, well-known":                   "version v1.2.3 v1 2 3 well know",
		"in May":                                       "may",
		"Zoë naïve":                                    "zoe naiv",
		"東京都に行く":                                       "东京 京都 行",
		"本":                                            "本",
		"GPT用の本abc":                                    "gpt 用 本 abc",
		"кошка и собака":                               "кошк собак",
		"  --  ..":                                     "",
	} {
		if got := strings.Join(Append(nil, text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := AppendDate(nil, time.Date(2023, 5, 8, 23, 0, 0, 0, time.UTC)); !slices.Equal(got, []string{"8", "may", "2023"}) {
		t.Errorf("%q", got)
	}
}

// FuzzAppend: any text gives terms that are not empty, not too long, and found
// again in themselves.
func FuzzAppend(f *testing.F) {
	f.Add("Ada's INV-2041 東京 <b>x</b> \xff\u200b")
	f.Add("a.b.c..d@@e''s’s")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := Append(nil, text), closely(text); !slices.Equal(got, want) {
			t.Errorf("%q gives %q, but looked at closely %q", text, got, want)
		}
		for _, term := range Append(nil, text) {
			if term == "" || len(term) > 3*maxTermBytes {
				t.Errorf("%q gives %q", text, term)
			}
			if utf8.ValidString(text) && !utf8.ValidString(term) {
				t.Errorf("%q was cut within a character", term)
			}
		}
	})
}

// closely takes the way for runs that are no plain words, for all.
func closely(text string) (dst []string) {
	text = compatible(text)
	l := languageOf(text)
	for len(text) > 0 {
		start := strings.IndexFunc(text, inWord)
		if start < 0 {
			return dst
		}
		text = text[start:]
		end := endOfRun(text)
		dst = Stems(nil).appendRun(dst, l, text[:end])
		text = text[end:]
	}
	return dst
}

// TestUnchangedWords: what unchanged passes over, the stemmer would have left as
// it is.
func TestUnchangedWords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	e := snowballstem.NewEnv("")
	passed := 0
	const letters = "aeiouysgtednrmclbkpx0" // those of suffixes most
	for range 500_000 {
		word := make([]byte, 1+random.IntN(9))
		for i := range word {
			word[i] = letters[random.IntN(len(letters))]
		}
		if !unchanged(string(word)) {
			continue
		}
		passed++
		e.SetCurrent(string(word))
		if englishstem.Stem(e); e.Current() != string(word) {
			t.Fatalf("%s becomes %s", word, e.Current())
		}
	}
	if passed < 100_000 {
		t.Errorf("%d words were tried", passed)
	}
}
