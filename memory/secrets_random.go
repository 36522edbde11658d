package memory

import (
	"math"
	"strings"
)

// What nobody would write by hand is a secret, if it is long, or if a word for one stands
// just before it.
const (
	longRandom  = 32
	shortRandom = 20
	mostRandom  = 400 // more is a file
	before      = 48  // bytes in which such a word stands
)

// secrecy are words for secrets, in lower case, and named what makes random characters
// none: what they are the hash or the address of.
var (
	secrecy = []string{"secret", "token", "key", "passw", "credential", "pwd", "schlüssel", "geheim", "zugang", "clé", "clave", "chiave", "chave", "sleutel", "klucz", "ключ", "секрет", "токен", "anahtar", "密钥", "密鑰", "秘密", "鍵", "열쇠", "مفتاح"}
	named   = []string{"sha", "md5", "h1:", "hash", "digest", "checksum", "integrity", "commit", "base64,", "etag", "fingerprint", "merge", "revision"}
)

// withoutRandom removes characters that look as if drawn at random. It looks at each
// once.
func withoutRandom(text string) string {
	var out strings.Builder
	kept := 0
	for i := 0; i < len(text); i++ {
		begin := i
		for i < len(text) && ofRandom(text[i]) {
			i++
		}
		if n := i - begin; n < shortRandom || n > mostRandom || !random(text, begin, i) {
			continue
		}
		out.WriteString(text[kept:begin])
		out.WriteString(removed)
		kept = i
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

func ofRandom(c byte) bool {
	return isDigit(c) || isLetter(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-'
}

// random judges a run of characters by how often their kind changes, by how evenly they
// are spread, and by what stands before it.
func random(text string, begin, end int) bool {
	run := strings.TrimRight(text[begin:end], "=")
	changes, lowers, uppers, digits, joints := kinds(run)
	if lowers+uppers == 0 || digits < 2 || joints > len(run)/8 || uppers > 0 && wordlike(run) {
		return false
	}
	around := strings.ToLower(text[max(0, begin-before):begin])
	if hasAny(around, named...) || strings.HasSuffix(around, "/") || strings.HasSuffix(around, ".") {
		return false
	}
	bits := entropy(run)
	if len(run) >= longRandom && lowers > 2 && uppers > 2 && 5*changes >= 2*len(run) && bits >= 4.2 {
		return true
	}
	line := around[strings.LastIndexByte(around, '\n')+1:]
	return 4*changes >= len(run) && bits >= 3.3 && joints <= 1 && hasAny(line, secrecy...)
}

// wordlike reports whether as many letters in lower case follow on each other as in words.
func wordlike(run string) bool {
	n := 0
	for i := range len(run) {
		if n++; run[i] < 'a' || run[i] > 'z' {
			n = 0
		}
		if n == 6 {
			return true
		}
	}
	return false
}

// kinds counts the characters of a run, and how often a letter in lower case, one in
// upper case and a digit follow on each other.
func kinds(run string) (changes, lowers, uppers, digits, joints int) {
	last := 0
	for i := range len(run) {
		kind := 0
		switch c := run[i]; {
		case isDigit(c):
			kind, digits = 1, digits+1
		case isUpper(c):
			kind, uppers = 2, uppers+1
		case isLetter(c):
			kind, lowers = 3, lowers+1
		default:
			joints++
			continue
		}
		if last != 0 && kind != last {
			changes++
		}
		last = kind
	}
	return changes, lowers, uppers, digits, joints
}

// entropy is that of the characters of a run, in bits for each.
func entropy(run string) (bits float64) {
	var counts [256]int
	for i := range len(run) {
		counts[run[i]]++
	}
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(run))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}
