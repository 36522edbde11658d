package terms

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// compatible is a text in Unicode's normal form KC: letters of full width, ligatures
// and letters with their marks behind them become the plain ones.
func compatible(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return norm.NFKC.String(text)
		}
	}
	return text
}

// folded is a word without the marks of its letters, as it is written on keyboards
// that do not have them. In Cyrillic, й stays: it is a letter of its own.
func folded(word string) string {
	if ascii(word) {
		return word
	}
	var out strings.Builder
	for _, r := range word {
		if to, ok := unmarked[r]; ok {
			out.WriteString(to)
			continue
		}
		var buf [utf8.UTFMax]byte
		n := utf8.EncodeRune(buf[:], r)
		parts := norm.NFD.Properties(buf[:n]).Decomposition()
		if len(parts) == 0 || r == 'й' || !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
			if !unicode.Is(unicode.Mn, r) || r >= 0x0590 { // marks of other scripts are vowels
				out.WriteRune(r)
			}
			continue
		}
		base, _ := utf8.DecodeRune(parts)
		out.WriteRune(base)
	}
	if out.Len() == 0 {
		return word
	}
	return out.String()
}

// unmarked are letters that have no parts in Unicode.
var unmarked = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i",
}

// umlauts gives a word of German text its umlauts back, where they were written as two
// letters. That some words never had one makes no difference: they get it in every text.
func umlauts(word string) string {
	if !strings.Contains(word, "ae") && !strings.Contains(word, "oe") && !strings.Contains(word, "ue") {
		return word
	}
	out := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		if i+1 < len(word) && word[i+1] == 'e' && (i == 0 || !strings.ContainsRune("aeiouyq", rune(word[i-1]))) {
			if at := strings.IndexByte("aou", word[i]); at >= 0 {
				out = append(out, []string{"ä", "ö", "ü"}[at]...)
				i++
				continue
			}
		}
		out = append(out, word[i])
	}
	return string(out)
}

// Traditional characters of Chinese, each before its simplified one: OpenCC's table
// TSCharacters, the first one where there are more, as far as it leads (Apache-2.0).
//
//go:embed data/han.txt
var hanText string

var simplified = func() map[rune]rune {
	all := make(map[rune]rune, 4096)
	last := rune(0)
	for _, r := range strings.TrimSpace(hanText) {
		if last == 0 {
			last = r
			continue
		}
		all[last], last = r, 0
	}
	return all
}()
