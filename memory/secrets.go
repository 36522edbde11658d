package memory

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// removed stands where a secret was.
const removed = "[secret removed]"

// keys and headers are credentials that have space in them.
var (
	keys    = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)`)
	headers = regexp.MustCompile(`(?i)\b(?:bearer|basic)\s{1,5}[0-9A-Za-z._~+/-]{16,}=*`)
)

// addresses have a password in front of their host.
var addresses = regexp.MustCompile(`\b([A-Za-z][A-Za-z0-9+.-]{1,20}://)[^\s/:@'"<>]{0,100}:[^\s/@'"<>]{1,200}@`)

// account looks like the number of a bank account (ISO 13616).
var account = regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?:[ .\x{a0}-]?[0-9A-Z]{4}){2,7}(?:[ .\x{a0}-]?[0-9A-Z]{1,3})?\b`)

// logins are names and passwords that programs are started with.
var logins = regexp.MustCompile(`(\s(?:-u|--user)[ =]{1,3}["']?[^\s:"']{1,64}:)([^\s"']{4,200})`)

// withoutSecrets gives a text without credentials, passwords, and numbers of
// cards and accounts, as far as they can be known by their form or by what they
// are called. It takes time in proportion to the text.
func withoutSecrets(text string) string {
	lower := strings.ReplaceAll(strings.ToLower(text), "ſ", "s") // as (?i) takes it
	if strings.Contains(text, "-----BEGIN ") {
		text = keys.ReplaceAllString(text, removed)
	}
	if hasAny(lower, "bearer", "basic") {
		text = withoutHeaders(text)
	}
	text = withoutTokens(text)
	if strings.Contains(text, "://") {
		text = addresses.ReplaceAllString(text, "${1}"+removed+"@")
	}
	if strings.Contains(text, "-u") {
		text = withoutLogins(text)
	}
	if hasAny(lower, labels...) {
		text = withoutLabelled(text)
	}
	if hasAccount(text) {
		text = account.ReplaceAllStringFunc(text, removedIf(bankAccount))
	}
	if hasDigits(text, fewestDigits) {
		text = withoutCards(text)
	}
	return withoutRandom(text)
}

// withoutHeaders removes what follows "bearer" and "basic", but the names of types do.
func withoutHeaders(text string) string {
	return headers.ReplaceAllStringFunc(text, removedIf(func(found string) bool {
		return found[1]|0x20 == 'e' || strings.ContainsAny(found, "0123456789=+/")
	}))
}

func withoutLogins(text string) string {
	return logins.ReplaceAllStringFunc(text, func(found string) string {
		at := logins.FindStringSubmatch(found)
		if !mixed(at[2]) {
			return found
		}
		return at[1] + removed
	})
}

// hasAny and the two below are what a text must have for a regular expression to
// find anything, which would cost a hundred times as much. Most texts have none of
// it.
func hasAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

func hasAccount(text string) bool {
	for i := 3; i < len(text); i++ {
		if isDigit(text[i]) && isDigit(text[i-1]) && isUpper(text[i-2]) && isUpper(text[i-3]) {
			return true
		}
	}
	return false
}

// fewestDigits are in the number of a payment card.
const fewestDigits = 13

func hasDigits(text string, fewest int) bool {
	n := 0
	for i := 0; i < len(text) && n < fewest; i++ {
		if isDigit(text[i]) {
			n++
		}
	}
	return n >= fewest
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// withoutTokens looks for tokens where they can be: in runs of their characters.
func withoutTokens(text string) string {
	var out strings.Builder
	kept := 0 // how much of the text is in out
	for i := 0; i < len(text); i++ {
		begin := i
		for i < len(text) && ofTokens[text[i]] {
			i++
		}
		if i-begin < shortestToken || !tokens.MatchString(text[begin:i]) {
			continue
		}
		out.WriteString(text[kept:begin])
		out.WriteString(tokens.ReplaceAllString(text[begin:i], removed))
		kept = i
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

func removedIf(secret func(string) bool) func(string) string {
	return func(found string) string {
		if secret(found) {
			return removed
		}
		return found
	}
}

// mixed reports whether a value is no word of a language: it has letters, and
// digits or signs.
func mixed(value string) bool {
	letters, others := false, false
	for _, r := range value {
		letters = letters || unicode.IsLetter(r)
		others = others || unicode.IsDigit(r) || strings.ContainsRune("!@#$%^&*+=?_~", r)
	}
	return letters && others
}

// bankAccount checks the digits of an international account number (ISO 13616:
// modulo 97 is 1 when the first four are moved to the end).
func bankAccount(number string) bool {
	number = strings.Map(func(r rune) rune {
		if r == ' ' || r == '.' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, number)
	if len(number) < 15 || len(number) > 34 {
		return false
	}
	rest := 0
	for _, c := range number[4:] + number[:4] {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}
