package memory

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// removed stands where a secret was.
const removed = "[secret removed]"

// tokens are credentials that can be known by their looks alone: the formats
// that their issuers document, as far as GitHub's secret scanning and gitleaks
// list them (2026-11). They have no characters but those of ofTokens, and at least
// shortestToken of them.
var tokens = regexp.MustCompile(strings.Join([]string{
	`\boka?_[0-9A-Za-z]{20,}`,                                // ours
	`\bsk-[0-9A-Za-z_-]{16,}`,                                // OpenAI, Anthropic, OpenRouter, DeepSeek
	`\b(?:gsk|hf|r8|fw|tgp_v1|csk|sm)[_-][0-9A-Za-z_-]{20,}`, // Groq, Hugging Face, Replicate, Fireworks, Together, Cerebras, supermemory
	`\b(?:xai|pplx|nvapi)-[0-9A-Za-z_-]{20,}`,                // xAI, Perplexity, NVIDIA
	`\b[prs]k_(?:live|test)_[0-9A-Za-z]{16,}`,                // Stripe
	`\bwhsec_[0-9A-Za-z+/]{20,}=*`,
	`\bgh[pousr]_[0-9A-Za-z]{30,}`, // GitHub
	`\bgithub_pat_[0-9A-Za-z_]{30,}`,
	`\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[0-9A-Za-z_-]{20,}`, // GitLab
	`\bhv[sbr]\.[0-9A-Za-z_-]{20,}`,                                  // Vault
	`\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b`,                        // AWS
	`\bAIza[0-9A-Za-z_-]{35}`,                                        // Google
	`\bya29\.[0-9A-Za-z_-]{20,}`,
	`\bGOCSPX-[0-9A-Za-z_-]{20,}`,
	`\bxox[a-z](?:\.[a-z]+)?-[0-9A-Za-z-]{10,}`, // Slack
	`\bxapp-[0-9A-Za-z-]{20,}`,
	`https://hooks\.slack\.com/[a-z]+/[0-9A-Za-z/_-]{20,}`,
	`https://(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/[0-9]+/[0-9A-Za-z_-]{20,}`,
	`\bSG\.[0-9A-Za-z_-]{16,}(?:\.[0-9A-Za-z_-]{16,})?`, // SendGrid
	`\bkey-[0-9a-f]{32}\b`,                              // Mailgun
	`\bnpm_[0-9A-Za-z]{36}`,
	`\bpypi-[0-9A-Za-z_-]{32,}`,
	`\bdckr_pat_[0-9A-Za-z_-]{20,}`,
	`\bdo[opr]_v1_[0-9a-f]{40,}`,                             // DigitalOcean
	`\bshp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}`,                   // Shopify
	`\bsq0(?:atp|csp)-[0-9A-Za-z_-]{20,}`,                    // Square
	`\b(?:ntn|figd|glc|sntrys|sntryu)_[0-9A-Za-z_=+/-]{30,}`, // Notion, Figma, Grafana, Sentry
	`\blin_api_[0-9A-Za-z]{30,}`,
	`\bATATT3[0-9A-Za-z_=-]{20,}`, // Atlassian
	`\bdapi[0-9a-f]{32}\b`,        // Databricks
	`\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}`,
	`\bAGE-SECRET-KEY-1[0-9A-Z]{40,}`,
	`\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}`,                                  // Telegram
	`\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{5,}`,     // JSON web tokens
	`\b(?:AccountKey|SharedAccessKey)=[0-9A-Za-z+/]{20,}=*`,              // Azure
	`[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=[0-9A-Za-z%+/_-]{20,}`, // signed addresses
}, "|"))

const shortestToken = len("xoxb-0123456789")

// ofTokens are the characters of tokens.
var ofTokens = func() (all [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+/=.%:?&-") {
		all[c] = true
	}
	return all
}()

// keys and headers are credentials that have space in them.
var (
	keys    = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)`)
	headers = regexp.MustCompile(`(?i)\b(?:bearer|basic)\s{1,5}[0-9A-Za-z._~+/-]{16,}=*`)
)

// addresses have a password in front of their host.
var addresses = regexp.MustCompile(`\b([A-Za-z][A-Za-z0-9+.-]{1,20}://)[^\s/:@'"<>]{0,100}:[^\s/@'"<>]{1,200}@`)

// labelled is a word for a secret, what joins it to its value, and the beginning
// of the value, which goes on until endsValue.
// The second group has words for a password, the others are names in programs
// and settings; sep is what follows: a sign, a word for "is", or nothing but
// space.
var labelled = regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(?:` +
	`(pass(?:word|wd|phrase|code)|pwd|pin|passwort|kennwort|mot de passe|contraseña|contrasena|senha|parola|wachtwoord|hasło|lösenord|пароль|密码|密碼|パスワード|비밀번호)|` +
	`(secret(?:[_ -]?access)?(?:[_ -]?key)?|client[_ -]?secret|api[_ -]?key|access[_ -]?key|private[_ -]?key|signing[_ -]?key)|` +
	`((?:access|auth|refresh|session|bot|id)?[_ -]?token)` +
	`)["'\x60*]{0,3}(\s{0,5}(?:[:=]{1,2}>?|：)\s{0,5}|\s{1,5}(?:is|ist|lautet|est|es|è|é|jest|är|это)\s{1,5}|(?:是|は|:)\s{0,5}|\s{1,5})["'\x60*“«]{0,3}([^\s"'\x60,;“”«»]{3})`)

// endsValue reports whether a value ends before a character: the last group of
// labelled takes none of them.
func endsValue(r rune) bool {
	return strings.ContainsRune(" \t\n\f\r\"'`,;“”«»", r)
}

// judgedValue is how many bytes of a value decide whether it is one. The rest of
// one that is longer goes with them.
const judgedValue = 256

// digits looks like the number of a payment card, account like that of a bank
// account (ISO 13616).
var (
	digits  = regexp.MustCompile(`\b[0-9](?:[ -]?[0-9]){12,18}\b`)
	account = regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b`)
)

// withoutSecrets gives a text without credentials, passwords, and numbers of
// cards and accounts, as far as they can be known by their form or by what they
// are called. It takes time in proportion to the text.
func withoutSecrets(text string) string {
	lower := strings.ReplaceAll(strings.ToLower(text), "ſ", "s") // as (?i) takes it
	if strings.Contains(text, "-----BEGIN ") {
		text = keys.ReplaceAllString(text, removed)
	}
	if hasAny(lower, "bearer", "basic") {
		text = headers.ReplaceAllString(text, removed)
	}
	text = withoutTokens(text)
	if strings.Contains(text, "://") {
		text = addresses.ReplaceAllString(text, "${1}"+removed+"@")
	}
	if hasAny(lower, labels...) {
		text = withoutLabelled(text)
	}
	if hasAccount(text) {
		text = account.ReplaceAllStringFunc(text, removedIf(bankAccount))
	}
	if hasDigits(text, fewestDigits) {
		text = digits.ReplaceAllStringFunc(text, removedIf(luhn))
	}
	return text
}

// labels are parts of the words of labelled: each of those has one.
var labels = []string{
	"pass", "pwd", "pin", "kennwort", "contrase", "senha", "parola", "wachtwoord", "hasło", "lösenord", "пароль", "密码", "密碼", "パスワード", "비밀번호",
	"secret", "key", "token",
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

// Groups of labelled.
const (
	groupPassword = 1 + iota
	groupKey
	groupToken
	groupJoint
	groupValue
)

// withoutLabelled removes the values of what is called a secret, and keeps what
// it is called. Labels may stand in each other's values, as in "pin:pin:pin:":
// where such a run ends is looked for once, and its labels are judged by their
// first bytes.
func withoutLabelled(text string) string {
	var out strings.Builder
	end := 0 // of the value that was seen last
	for {
		at := labelled.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		start := at[2*groupValue]
		if end <= start {
			end = len(text)
			if n := strings.IndexFunc(text[start:], endsValue); n >= 0 {
				end = start + n
			}
		}
		next := end
		if secretAt(text, at, end) {
			out.WriteString(text[:start])
			out.WriteString(removed)
		} else {
			next = at[2*groupJoint] // a label may follow at once
			out.WriteString(text[:next])
		}
		text, end = text[next:], end-next
	}
	if out.Len() == 0 {
		return text
	}
	out.WriteString(text)
	return out.String()
}

// secretAt reports whether a match of labelled, whose value goes on to end, is a
// secret.
func secretAt(text string, at []int, end int) bool {
	start := at[2*groupValue]
	whole := text[start:min(end, start+judgedValue)]
	if strings.HasPrefix(whole, removed[:7]) {
		return false
	}
	value := strings.TrimRight(whole, ".!?)]}*")
	if len(value) < len(whole) && !mixed(value) { // a mark at the end may be a part of it
		value = whole
	}
	kind := groupPassword
	for at[2*kind] < 0 {
		kind++
	}
	joint := strings.TrimSpace(text[at[2*groupJoint]:at[2*groupJoint+1]])
	pin := kind == groupPassword && strings.EqualFold(text[at[2*kind]:at[2*kind+1]], "pin")
	return secretValue(kind, pin, joint, value)
}

// secretValue reports whether a value that follows a label is one, and not the
// next word of a sentence.
func secretValue(kind int, pin bool, joint, value string) bool {
	sign := joint != "" && strings.ContainsAny(joint, ":=：")
	n := utf8.RuneCountInString(value)
	switch {
	case pin:
		return joint != "" && n >= 4 && n <= 12 && strings.Trim(value, "0123456789") == ""
	case kind == groupToken:
		return sign && n >= 16
	case sign:
		return n >= 4
	case joint == "" && kind != groupPassword: // such as "secret santa2"
		return false
	}
	return n >= 6 && mixed(value)
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

// luhn checks the last digit of a card's number (ISO/IEC 7812-1, annex B).
func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		if number[i] < '0' || number[i] > '9' {
			continue
		}
		d := int(number[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

// bankAccount checks the digits of an international account number (ISO 13616:
// modulo 97 is 1 when the first four are moved to the end).
func bankAccount(number string) bool {
	number = strings.ReplaceAll(number, " ", "")
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
