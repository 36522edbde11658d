package directory

import (
	"bytes"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzIDOf: a token is well formed exactly when its last six digits are the
// CRC-32 of the rest; one that was minted is, and with any byte changed is not.
func FuzzIDOf(f *testing.F) {
	f.Add([]byte("ok_"+strings.Repeat("0", 50)), uint8(3), byte(1))
	f.Add([]byte(withChecksum("ok_"+strings.Repeat("z", 44))), uint8(52), byte(0x20))
	f.Add([]byte(withChecksum("sk_"+strings.Repeat("z", 44))), uint8(0), byte(4))
	f.Add(bytes.Repeat([]byte{0, 61, 62, 255, 247, 248}, 30), uint8(20), byte(255))
	f.Fuzz(func(t *testing.T, b []byte, at uint8, flip byte) {
		id, ok := idOf(b)
		var want bool
		if len(b) == 53 && bytes.HasPrefix(b, []byte("ok_")) {
			digits := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE(b[:47]))).Text(62) // 0-9, a-z, A-Z
			want = strings.Map(swapCase, strings.Repeat("0", 6-len(digits))+digits) == string(b[47:])
		}
		if ok != want || ok && string(id[:]) != string(b[3:15]) || !ok && id != (tokenID{}) {
			t.Fatalf("%q: id %q, %v; want %v", b, id, ok, want)
		}
		plain, err := mint(bytes.NewReader(b))
		if err != nil {
			return // too few bytes
		}
		if id, ok := idOf([]byte(plain)); !ok || !strings.HasPrefix(plain[3:], string(id[:])) {
			t.Fatalf("minted %q: id %q, %v", plain, id, ok)
		}
		changed := []byte(plain)
		changed[int(at)%len(changed)] ^= flip
		if _, ok := idOf(changed); ok != (flip == 0) {
			t.Fatalf("%q was changed to %q: %v", plain, changed, ok)
		}
	})
}

func swapCase(r rune) rune {
	if 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
		return r ^ 0x20
	}
	return r
}

// FuzzMatches: only a star at the end stands for anything; all else is compared
// as it is, and a token allows a model under its own name and its provider's.
func FuzzMatches(f *testing.F) {
	for _, s := range [][2]string{{"gpt-4o", "gpt-4o"}, {"gpt-*", "gpt-4o"}, {"gpt-*", "gpt"}, {"*", ""}, {"a*b", "axb"}, {"a**", "a*x"}, {"", ""}, {"openai/*", "openai/x"}, {"\xff*", "\xff"}} {
		f.Add(s[0], s[1], "openai")
	}
	f.Fuzz(func(t *testing.T, pattern, model, provider string) {
		got := matches(pattern, []byte(model))
		if utf8.ValidString(pattern) && utf8.ValidString(model) {
			expression := "^(?s:" + regexp.QuoteMeta(pattern) + ")$"
			if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
				expression = "^(?s:" + regexp.QuoteMeta(prefix) + ".*)$"
			}
			if want := regexp.MustCompile(expression).MatchString(model); got != want {
				t.Fatalf("%q matches %q: %v, want %v", pattern, model, got, want)
			}
		}
		if !matches(model+"*", []byte(model+pattern)) || got && strings.HasSuffix(pattern, "*") && !matches(pattern, []byte(model+"x")) {
			t.Fatalf("%q, %q: a star does not stand for any rest", pattern, model)
		}
		one := Token{Models: []string{pattern}}
		if allowed := one.AllowsModel(provider, []byte(model)); allowed != (got || matches(pattern, []byte(provider+"/"+model))) {
			t.Fatalf("%q allows %q of %q: %v", pattern, model, provider, allowed)
		}
	})
}
