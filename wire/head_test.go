package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func text(s string) Text { b := []byte(s); return NewText(&b) }

func TestReadHead(t *testing.T) {
	f := func(body, model string, stream bool) {
		t.Helper()
		var h Head
		if err := ReadHead(text(body), &h); err != nil {
			t.Errorf("%.60s: %v", body, err)
			return
		}
		if string(h.Model) != model || h.Stream != stream {
			t.Errorf("%.60s: got %q %v", body, h.Model, h.Stream)
		}
	}
	f(`{"model":"gpt-4o","stream":true}`, "gpt-4o", true)
	f("\n\t{ \"messages\" : [ {\"role\":\"user\",\"model\":\"no\"} ] ,\r\n \"model\" : \"m\" }\n", "m", false)
	// Escapes: providers decode them, in keys and in values.
	f(`{"m\u006fdel":"gpt\u002d4o","\u0073tream":true}`, "gpt-4o", true)
	f(`{"model":"\ud83d\ude00\n"}`, "\U0001f600\n", false)
	// Numbers beyond float64, unknown members, duplicates of other keys: none of our business.
	f(`{"x":12345678901234567890123,"y":-0.0e+10,"x":1,"model":"m","stream":null}`, "m", false)
	f(`{}`, "", false)
	// A model that is no string is none.
	f(`{"model":null,"stream":true}`, "", true)
	f(`{"model":{"id":"m","model":"n"},"stream":true}`, "", true)
	f(`{"stream":false,"model":["m",{"model":"n"}]}`, "", false)
	f(`{"stream":false,"a":[[],{},[{}]],"b":{"c":{"d":[1,2,3]}}}`, "", false)
	f(`{"a":"`+strings.Repeat("x", 100_000)+`","model":"m"}`, "m", false)
	f(`{"a":`+strings.Repeat("[", 511)+strings.Repeat("]", 511)+`}`, "", false)
}

func TestReadHeadRefuses(t *testing.T) {
	f := func(body, reason string, offset int64) {
		t.Helper()
		var h Head
		err := ReadHead(text(body), &h)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Reason != reason || syntax.Offset != offset {
			t.Errorf("%.60q: got %v, want %s at byte %d", body, err, reason, offset)
		}
		if h.HasModel || h.Model != nil {
			t.Errorf("%.60q: a refused body left a model", body)
		}
	}
	f(``, reasonTruncated, 0)
	f(`  `, reasonTruncated, 2)
	f(`hello`, reasonNotObject, 0)
	f(`[]`, reasonNotObject, 0)
	f("\xef\xbb\xbf{}", reasonNotObject, 0)
	f(`{"model":"m"`, reasonTruncated, 12)
	f(`{"model":"m`, reasonTruncated, 11)
	f(`{"model":"m\`, reasonTruncated, 12)
	f(`{"model":"m"} x`, reasonTrailing, 14)
	f(`{"model":"m",}`, reasonSyntax, 13)
	f(`{"a":[1,]}`, reasonSyntax, 8)
	f(`{"a":[1 2]}`, reasonSyntax, 8)
	f(`{"a":01}`, reasonSyntax, 6)
	f(`{"a":1.}`, reasonSyntax, 7)
	f(`{"a":nul}`, reasonSyntax, 8)
	f(`{"a" 1}`, reasonSyntax, 5)
	f(`{a:1}`, reasonSyntax, 1)
	f(`{"a":"\x"}`, reasonSyntax, 7)
	f(`{"a":"\u12g4"}`, reasonSyntax, 10)
	f("{\"a\":\"\n\"}", reasonSyntax, 6)
	f("{\"a\":\"\xff\"}", reasonUTF8, 6)
	// The first byte that is wrong is named, whatever else is wrong behind it.
	f("{\"a\":\"\xff\",}", reasonUTF8, 6)
	f("{\"a\":\"\xed\xa0\x80\"}", reasonUTF8, 6)
	f("{\"a\":\"\xe2\x82\"}", reasonUTF8, 6)
	f("{\"a\":\"\xe2\x82\n\"}", reasonUTF8, 6)
	f("{\"a\":\"\xe2\x82", reasonTruncated, 8)
	f("{\"a\":1}\xff", reasonTrailing, 7)
	f("{\"a\":\xff}", reasonSyntax, 5)
	f(`{"model":`, reasonTruncated, 9)
	f(`{"stream": `, reasonTruncated, 11)
	f(`{"model":7}`, reasonModelType, 9)
	f(`{"model":true}`, reasonModelType, 9)
	f(`{"model":null,"model":"b"}`, reasonDuplicate, 14)
	f(`{"model":{},"mod\u0065l":"b"}`, reasonDuplicate, 12)
	f(`{"model":{"a":"\x"}}`, reasonSyntax, 16)
	f(`{"stream":"true"}`, reasonStreamType, 10)
	f(`{"model":"a","model":"b"}`, reasonDuplicate, 13)
	f(`{"model":"a","mod\u0065l":"b"}`, reasonDuplicate, 13)
	f(`{"stream":true,"stream":true}`, reasonDuplicate, 15)
	f(`{"model":"a","Model":"b"}`, reasonSpelling, 13)
	f(`{"MODEL":"b"}`, reasonSpelling, 1)
	f("{\"\u017ftream\":true}", reasonSpelling, 1) // Go folds a long s to s
	f(`{"\u017ftream":true}`, reasonSpelling, 1)
	f(`{"a":`+strings.Repeat("[", 1000), reasonDeep, 516)
}

// TestReadAnyHead: where nobody knows what a body is, it may be an array.
func TestReadAnyHead(t *testing.T) {
	var h Head
	for _, body := range []string{`[]`, ` [{"model":"a"},{"model":"b","Model":1}] `, `{"model":null}`} {
		if err := ReadAnyHead(text(body), &h); err != nil || h.HasModel {
			t.Errorf("%s: %v, %v", body, err, h.HasModel)
		}
	}
	for _, body := range []string{`"m"`, `7`, `[`, `[]]`, `[{]}`, `{"model":"a","model":"b"}`} {
		if ReadAnyHead(text(body), &h) == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}

// FuzzReadHead: an object is accepted exactly when encoding/json accepts it,
// but for depth, UTF-8 and the members we read; the model is what
// encoding/json decodes, and a mistake in the grammar is found at the same byte.
func FuzzReadHead(f *testing.F) {
	for _, s := range []string{
		`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		`{"m\u006fdel":"\ud83d\ude00"}`, `{"a":[1,2.5e-3,-0,true,false,null,"\"\\\/"]}`,
		`{"model":"a","model":"b"}`, `{"a":1,}`, `[`, "{\"a\":\"\xff\"}", `{"model":"\ud800x"}`, "{\"\u017ftream\":1}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var h Head
		err := ReadHead(NewText(&body), &h)
		trimmed := bytes.TrimLeft(body, " \t\r\n")
		want := json.Valid(body) && len(trimmed) > 0 && trimmed[0] == '{' && utf8.Valid(body)
		var syntax *SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > int64(len(body)) {
				t.Fatalf("bad error %v", err)
			}
			switch syntax.Reason {
			case reasonDuplicate, reasonSpelling, reasonModelType, reasonStreamType, reasonDeep:
				return
			}
		}
		if (err == nil) != want {
			t.Fatalf("%q: got %v, encoding/json says valid: %v", body, err, want)
		}
		if err != nil {
			sameOffset(t, body, syntax)
			return
		}
		var std map[string]json.RawMessage
		if err := json.Unmarshal(body, &std); err != nil {
			t.Fatal(err)
		}
		var model string
		raw, has := std["model"]
		if has = has && raw[0] == '"'; has {
			if err := json.Unmarshal(raw, &model); err != nil {
				t.Fatal(err)
			}
		}
		if has != h.HasModel || model != string(h.Model) || h.Stream != (string(std["stream"]) == "true") {
			t.Fatalf("%q: got model %q %v, stream %v, want %q %v, %s", body, h.Model, h.HasModel, h.Stream, model, has, std["stream"])
		}
	})
}

// sameOffset compares where a mistake was found with where encoding/json finds
// it, which gives the number of bytes read and knows nothing of UTF-8.
func sameOffset(t *testing.T, body []byte, got *SyntaxError) {
	t.Helper()
	var std *json.SyntaxError
	if got.Reason == reasonUTF8 || got.Reason == reasonNotObject || !errors.As(json.Unmarshal(body, new(any)), &std) {
		return
	}
	want := std.Offset - 1
	if got.Reason == reasonTruncated {
		want = int64(len(body))
	}
	if got.Offset != want {
		t.Fatalf("%q: got %v, encoding/json stops at %d (%v)", body, got, want, std)
	}
}

func TestHeadBackground(t *testing.T) {
	for body, want := range map[string]bool{
		`{"background":true}`: true, `{"b\u0061ckground":true}`: true, `{"\u0062\u0061\u0063\u006b\u0067\u0072\u006f\u0075\u006e\u0064":true}`: true, `{"model":"m","background": true,"x":1}`: true,
		`{"background":false}`: false, `{"background":null}`: false, `{"Background":true}`: false, `{"x":{"background":true}}`: false, `{"background":"true"}`: false,
	} {
		var h Head
		if err := ReadHead(text(body), &h); err != nil || h.Background != want {
			t.Errorf("%s: %v %v", body, h.Background, err)
		}
	}
}
