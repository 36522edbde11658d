package wire

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzUnescape: a string is decoded as encoding/json decodes it, but for bytes
// that are not UTF-8: those stay, so that nobody's text is changed.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{
		``, `plain`, `a\"b\\c\/d\b\f\n\r\t`, `\u00e9\uD83D\ude00`, `\ud800`, `\udc00\ud800x`, `\ud800\ud800\udc00`, `\ud83dx\ude00`, "\xff\\u0041\xc3", `\u2028`, `\u0000`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want string
		if json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &want) != nil {
			return
		}
		got := unescape(raw)
		if utf8.Valid(raw) && !utf8.Valid(got) || string([]rune(string(got))) != want {
			t.Fatalf("%q is %q, want %q", raw, got, want)
		}
		if longer := appendUnescaped([]byte("x"), raw); string(longer[1:]) != string(got) || longer[0] != 'x' {
			t.Fatalf("%q: %q behind x, alone %q", raw, longer, got)
		}
	})
}

// FuzzQuoted: whatever a text holds, it stays inside the string that it is put
// into, and comes out of it as it was.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "plain", "\"}],\"x\":[{\"", "\\", "\\u0022", "\x00\x1f\x7f\n", "\u2028\u2029\ufffd", "\xff\xc3", "\xed\xa0\x80", "😀"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := string([]rune(string(text))) // each byte that is not UTF-8 is a U+FFFD
		quoted := appendQuoted(nil, text)
		var got string
		if err := json.Unmarshal(append(append([]byte{'"'}, quoted...), '"'), &got); err != nil || got != want {
			t.Fatalf("%q is quoted %s, read as %q, %v", text, quoted, got, err)
		}
		if !utf8.Valid(quoted) || bytes.ContainsAny(quoted, "\x7f\u2028\u2029") {
			t.Fatalf("%q is quoted %q", text, quoted)
		}
		if back := unescape(quoted); string(back) != want {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
