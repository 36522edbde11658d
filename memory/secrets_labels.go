package memory

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// labelled is a word for a secret. The groups are those below: words
// that mean other things, too, words for a password, words for a number, and names in programs and
// settings.
//
//nolint:misspell // words of other languages
var labelled = regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(?:` +
	`(mdp|zugangscode|zugangsdaten|code secret|codice segreto|parola d['’]ordine|clave(?: secreta)?)|` +
	`(pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|mot de passe|contraseña|contrasena|senha|palavra[ -]passe|parola(?:mız|sı|m)?|şifre(?:miz|niz|si|m)?|wachtwoord|hasło|lösenord|пароль|كلمة المرور|كلمة السر)|` +
	`(pin(?:[ -]?code|[ -]?kod\pL{0,3}|码|碼|コード)?|code pin|geheimzahl|code confidentiel|пин[ -]?код|الرقم السري)|` +
	`(secret(?:[_ -]?access)?(?:[_ -]?key)?|client[_ -]?secret|api[_ -]?key|access[_ -]?key|private[_ -]?key|signing[_ -]?key)|` +
	`((?:access|auth|refresh|session|bot|id)?[_ -]?token))|` +
	`(密码|密碼|パスワード|비밀번호|비번|패스워드)|(口令|암호)|(暗証番号|핀번호)`)

// Groups of labelled; those in scripts without spaces stand where they do.
const (
	groupWeak = 1 + iota
	groupPassword
	groupNumber
	groupKey
	groupToken
	groupPasswordUnspaced
	groupWeakUnspaced
	groupNumberUnspaced
)

// labels are parts of the words of labelled: each of those has one.
var labels = []string{
	"pass", "pwd", "pin", "kennwort", "mdp", "contrase", "senha", "parola", "şifre", "wachtwoord", "hasło", "lösenord", "пароль", "пин", "كلمة", "الرقم", "zugangs", "code", "codice", "clave", "geheimzahl",
	"密码", "密碼", "パスワード", "비밀번호", "비번", "패스워드", "口令", "암호", "暗証番号", "핀번호", "secret", "key", "token",
}

// joint is what joins a label to its value: a sign, a word for "is", or nothing but
// space; and the beginning of the value, which goes on until endsValue. filler is a word
// between them, as in "the password of the router is"; behind one there has to be more
// than space.
var (
	joint  = regexp.MustCompile(`^["'\x60*]{0,3}(\s{0,5}(?:[:=]{1,2}>?|：)\s{0,5}|\s{1,5}(?i:is|ist|lautet|est|es|è|é|jest|to|är|это|هي|هو|—|–|-)\s{1,5}|(?:是|は|는|은)\s{0,5}|\s{1,5})["'\x60*“«]{0,3}([^\s"'\x60,;“”«»]{3})`)
	filler = regexp.MustCompile(`^\s{1,3}[\pL-]{1,20}`)
)

// maxFillers are looked over, and joinedWithin is how many bytes of a text are.
const (
	maxFillers   = 4
	joinedWithin = 64
)

// endsValue reports whether a value ends before a character: the last group of
// joint takes none of them.
func endsValue(r rune) bool {
	return strings.ContainsRune(" \t\n\f\r\"'`,;“”«»", r)
}

// judgedValue is how many bytes of a value decide whether it is one. The rest of
// one that is longer goes with them.
const judgedValue = 256

// value is what stands behind a label.
type value struct {
	start  int // in the text
	joint  string
	filled bool // there are words between
}

// valueAt finds the value of a label that ends at a place.
func valueAt(text string, at int) (v value, ok bool) {
	for range 1 + maxFillers {
		ahead := text[at:min(len(text), at+joinedWithin)]
		if m := joint.FindStringSubmatchIndex(ahead); m != nil {
			v.joint = strings.TrimSpace(ahead[m[2]:m[3]])
			v.start = at + m[4]
			if v.joint != "" || !v.filled && valued(ahead[m[4]:]) {
				return v, true
			}
		}
		n := len(filler.FindString(ahead))
		if n == 0 {
			return v, false
		}
		at += n
		v.filled = true
	}
	return v, false
}

// valued reports whether a text begins with what is no word of a sentence.
func valued(text string) bool {
	if n := strings.IndexFunc(text, endsValue); n >= 0 {
		text = text[:n]
	}
	return mixed(text) || isDigit(text[0])
}

// withoutLabelled removes the values of what is called a secret, and keeps what
// it is called. Labels may stand in each other's values, as in "pin:pin:pin:":
// where such a run ends is looked for once, and its labels are judged by their
// first bytes.
func withoutLabelled(text string) string {
	var out strings.Builder
	end, kept, from := 0, 0, 0 // of the value seen last; what is in out; where labels are looked for
	for {
		m := labelled.FindStringSubmatchIndex(text[from:])
		if m == nil {
			break
		}
		group := groupWeak
		for m[2*group] < 0 {
			group++
		}
		label := text[from+m[2*group] : from+m[2*group+1]]
		from += m[2*group+1]
		v, ok := valueAt(text, from)
		if !ok {
			continue
		}
		if end <= v.start {
			end = len(text)
			if n := strings.IndexFunc(text[v.start:], endsValue); n >= 0 {
				end = v.start + n
			}
		}
		if v.secret(group, label, text[v.start:min(end, v.start+judgedValue)]) {
			out.WriteString(text[kept:v.start])
			out.WriteString(removed)
			kept, from = end, end
		}
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

// secret reports whether what stands behind a label is one, and not the next word of a
// sentence or of a program.
func (v *value) secret(group int, label, whole string) bool {
	if strings.HasPrefix(whole, removed[:7]) || calls(group, whole) {
		return false
	}
	value := strings.TrimRight(whole, ".!?)]}*。")
	if len(value) < len(whole) && !mixed(value) { // a mark at the end may be a part of it
		value = whole
	}
	sign := strings.ContainsAny(v.joint, ":=：")
	n := utf8.RuneCountInString(value)
	switch {
	case group == groupNumber || group == groupNumberUnspaced:
		named := v.joint != "" || !strings.EqualFold(label, "pin")
		digits := strings.TrimRightFunc(value, func(r rune) bool { return unicode.Is(unicode.Hangul, r) || unicode.Is(unicode.Hiragana, r) })
		return named && len(digits) >= 4 && len(digits) <= 12 && strings.Trim(digits, "0123456789") == ""
	case group == groupToken:
		return sign && !v.filled && n >= 16
	case group == groupKey && v.filled:
		return false
	case sign && !v.filled && group != groupWeak && group != groupWeakUnspaced:
		return n >= 4
	case v.joint == "" && group != groupPassword && group != groupPasswordUnspaced: // such as "secret santa2"
		return false
	}
	return n >= 6 && mixed(value)
}

// calls reports whether a value is a program's expression that reads one: a call, a name
// with a point, or, where it is no password, a name for a secret.
func calls(group int, value string) bool {
	if strings.HasPrefix(value, "process.env.") || strings.HasPrefix(value, "os.environ") {
		return true
	}
	n := 0
	for n < len(value) && (isLetter(value[n]) || value[n] == '_' || value[n] == '.') {
		n++
	}
	if n == 0 {
		return false
	}
	if n < len(value) {
		return value[n] == '('
	}
	return strings.Contains(value[:n-1], ".") || (group == groupKey || group == groupToken) && hasAny(strings.ToLower(value), "secret", "token", "key")
}
