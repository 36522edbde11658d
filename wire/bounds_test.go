package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// scalars are JSON values and what is nearly one: forms of numbers, escapes and
// literals at the edges of the grammar (RFC 8259).
var scalars = []string{
	`0`, `-0`, `9`, `-9`, `10`, `190`, `0.0`, `-0.5`, `1.25`, `9.9`, `0e0`, `0E1`, `1e5`, `1E+5`, `1e-5`, `-1.5e+30`, `2.5E9`, `1e09`, `90071992547409920`,
	`01`, `-01`, `00`, `-`, `--1`, `+1`, `-a`, `.5`, `-.5`, `1.`, `1.e3`, `1.5.5`, `1..5`, `1e`, `1e+`, `1e-`, `1e+-5`, `1e5e5`, `1e5.5`, `1.5e`, `0x1`, `1a`, `1-`, `1+1`, `/`, `:`,
	`true`, `false`, `null`, `tru`, `truee`, `nul`, `falsy`, `True`,
	`""`, `" "`, `"!~"`, `"\""`, `"\\\/\b\f\n\r\t"`, `"\a"`, `"\x"`, `"\'"`, `"`, `"\`, `"\"`,
	`"\u0000"`, `"\u09af"`, `"\uAFaf"`, `"\u0F90"`, `"\ud83d\ude00"`, `"\ud800"`, `"\u12"`, `"\u123"`, `"\u123g"`, `"\uG000"`, `"\u/000"`, `"\u:000"`, `"\u@000"`, "\"\\u`000\"", `"\u"`,
	"\"\x00\"", "\"\x1f\"", "\"\x20\"", "\"\x7f\"", "\"\t\"", "\"\n\"",
}

// documents puts a value where values stand.
func documents(value string) []string {
	return []string{
		value, value + " ", "[" + value + "]", "[ 1," + value + " ]", "[" + value + ",2]", `{"a":` + value + `}`, `{"a" : ` + value + `, "b":1}`, "\t[[" + value + "]]\r\n",
		`{"` + strings.Repeat("x", 40) + `":[` + value + `]}`,
	}
}

// TestGrammarIsThatOfTheStandardLibrary: what encoding/json accepts, the reader of
// requests and the scanner of answers accept, in whatever pieces it comes.
func TestGrammarIsThatOfTheStandardLibrary(t *testing.T) {
	for _, value := range scalars {
		for _, doc := range documents(value) {
			want := json.NewDecoder(strings.NewReader(doc)).Decode(new(any)) == nil // what follows the value is not looked at
			for _, size := range []int{1, 2, 5, len(doc)} {
				s := scan(DialectChat, FormatJSON, doc, size)
				s.Finish()
				if s.Ended() != want {
					t.Errorf("%q in pieces of %d: ended %v, valid %v", doc, size, s.Ended(), want)
				}
			}
			var h Head
			body := `{"x":` + doc + `}`
			err := ReadHead(text(body), &h)
			if valid := json.Valid([]byte(body)); (err == nil) != valid {
				t.Errorf("%q: %v, valid %v", body, err, valid)
			}
			if syntax, ok := errors.AsType[*SyntaxError](err); ok {
				sameOffset(t, []byte(body), syntax)
			}
		}
	}
}

// TestControlCharactersEndStrings: at each place of a word that is read at once.
func TestControlCharactersEndStrings(t *testing.T) {
	for at := range 48 {
		for c := range 0x30 {
			s := strings.Repeat("~", at) + string(rune(c)) + strings.Repeat("~", 47-at)
			var h Head
			err := ReadHead(text(`{"a":"`+s+`"}`), &h)
			var syntax *SyntaxError
			switch {
			case c == '"':
				continue
			case c >= 0x20 && err != nil:
				t.Errorf("byte %#x at %d: %v", c, at, err)
			case c < 0x20 && (!errors.As(err, &syntax) || syntax.Reason != reasonSyntax || syntax.Offset != int64(at+6)):
				t.Errorf("byte %#x at %d: %v", c, at, err)
			}
		}
	}
}

// TestEscapesAreDecodedAsTheStandardLibraryDoes: each digit, surrogates whole,
// halved and out of order.
func TestEscapesAreDecodedAsTheStandardLibraryDoes(t *testing.T) {
	for _, raw := range []string{
		`\u0123\u4567\u89ab\ucdef\uABCD\uEF00`, `\uFFFF\uffff`, `\ud83d\ude00`, `\uD83D\uDE00x`, `\ud83d`, `\ud83dx`, `\ud83d\n`, `\ud83d\u0041`, `\ude00\ud83d`,
		`\ud83d\ud83d\ude00`, `\b\f\n\r\t\/\\\"`, `plain`, `tail\u0041`,
	} {
		var want string
		if err := json.Unmarshal([]byte(`"`+raw+`"`), &want); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if got := string(unescape([]byte(raw))); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
		var h Head
		if err := ReadHead(text(`{"model":"`+raw+`"}`), &h); err != nil || string(h.Model) != want {
			t.Errorf("%s: model %q, want %q, %v", raw, h.Model, want, err)
		}
	}
}

// TestNamesWrittenInEscapesOnly: the longest way to write stream and model is
// still that member, for the allow-list's sake.
func TestNamesWrittenInEscapesOnly(t *testing.T) {
	escaped := func(s string) string {
		var b strings.Builder
		for _, c := range s {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.String()
	}
	var h Head
	body := `{"` + escaped("stream") + `":true,"` + escaped("model") + `":"m"}`
	if err := ReadHead(text(body), &h); err != nil || !h.Stream || string(h.Model) != "m" {
		t.Errorf("stream %v, model %q, %v", h.Stream, h.Model, err)
	}
	for _, again := range []string{"stream", escaped("stream"), "Stream"} {
		if err := ReadHead(text(`{"`+escaped("stream")+`":true,"`+again+`":false}`), &h); err == nil {
			t.Errorf("a second %s was accepted", again)
		}
	}
	for _, other := range []string{"streams", escaped("streams"), "mode", "models", "xmodel"} {
		if err := ReadHead(text(`{"`+other+`":7}`), &h); err != nil || h.HasModel || h.Stream {
			t.Errorf("%s was taken for another member: %v", other, err)
		}
	}
}

// TestLongestAnswerAskedFor: the largest of the bounds that dialects know; what is
// no whole number, or absurd, says nothing.
func TestLongestAnswerAskedFor(t *testing.T) {
	for body, want := range map[string]int64{
		`{}`:                                     0,
		`{"max_tokens":0}`:                       0,
		`{"max_tokens":1}`:                       1,
		`{"max_tokens":4096}`:                    4096,
		`{"max_completion_tokens":90}`:           90,
		`{"max_output_tokens":19}`:               19,
		`{"max_tokens":5,"max_output_tokens":7}`: 7,
		`{"max_tokens":7,"max_output_tokens":5}`: 7,
		`{"max_tokens":-5}`:                      0,
		`{"max_tokens":5.5}`:                     0,
		`{"max_tokens":5e3}`:                     0,
		`{"max_tokens":"5"}`:                     0,
		`{"max_tokens":null}`:                    0,
		`{"a":{"max_tokens":5}}`:                 0,
		`{"max_token":5}`:                        0,
		`{"max_tokens":1099511627776}`:           1 << 40,
		`{"max_tokens":10995116277760}`:          10 << 40,
		`{"max_tokens":1099511627777}`:           1<<40 + 1,
		`{"max_tokens":10995116277770}`:          0,
		`{"max_tokens":109951162777600}`:         0,
		`{"max_tokens":9999999999999999999999}`:  0,
	} {
		var h Head
		if err := ReadHead(text(body), &h); err != nil || h.MaxTokens != want {
			t.Errorf("%s: %d, want %d, %v", body, h.MaxTokens, want, err)
		}
	}
}

// TestModelOfAnAnswerIsAnIdentifier: of letters, digits and ._:/@+-, up to 128
// bytes; what is none leaves the one that was said before.
func TestModelOfAnAnswerIsAnIdentifier(t *testing.T) {
	model := func(name string) string {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		doc := `{"model":"before","response":{"model":` + string(quoted) + `}}`
		s := scan(DialectResponses, FormatJSON, doc, 9)
		return string(s.Model())
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"
	for c := byte(0x20); c < 0x7f; c++ {
		name := "gpt" + string(rune(c)) + "4"
		want := "before"
		if strings.IndexByte(allowed, c) >= 0 {
			want = name
		}
		if got := model(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	long := strings.Repeat("m", maxNameBytes)
	for name, want := range map[string]string{"": "before", long: long, long + "m": "before", "m": "m"} {
		if got := model(name); got != want {
			t.Errorf("%d bytes: %q", len(name), got)
		}
	}
}

// TestEscapedNameIsNotTheOneBefore: a name with escapes that no model has is none,
// whatever was read before it.
func TestEscapedNameIsNotTheOneBefore(t *testing.T) {
	for _, escape := range []string{`\n`, `\u0041`} {
		for n := maxNameBytes - 3; n <= maxNameBytes; n++ {
			s := scan(DialectChat, FormatJSON, `{"`+strings.Repeat("k", n)+`":1,"model":"`+escape+`"}`, 1000)
			if !s.Ended() || len(s.Model()) != 0 {
				t.Errorf("behind a key of %d bytes: model %q", n, s.Model())
			}
		}
	}
}

// TestCountsAreBelievedUpToTheirBounds: at the largest, at the depth where they stand,
// and not in arrays beside them.
func TestCountsAreBelievedUpToTheirBounds(t *testing.T) {
	for doc, want := range map[string]Usage{
		`{"usage":{"prompt_tokens":68719476736}}`:                                                                            {Input: count(maxCount)},
		`{"usage":{"prompt_tokens":68719476737}}`:                                                                            {},
		`{"usage":{"prompt_tokens":687194767360}}`:                                                                           {},
		`{"usage":{"prompt_tokens":68719476729}}`:                                                                            {Input: count(maxCount - 7)},
		`{"response":{"usage":{"output_tokens_details":{"reasoning_tokens":5},"input_tokens_details":[7]}}}`:                 {Reasoning: count(5)},
		`{"response":{"usage":{"output_tokens_details":{"reasoning_tokens":5},"input_tokens_details":{"cached_tokens":0}}}}`: {Reasoning: count(5), CachedInput: count(0)},
		`{"response":{"usage":{"output_tokens_details":{"x":{"reasoning_tokens":5}}}}}`:                                      {},
		`{"usage":{"output_tokens_details":{"x":{"reasoning_tokens":5}}}}`:                                                   {},
	} {
		s := scan(DialectResponses, FormatJSON, doc, 7)
		if !s.Ended() || s.Usage() != want {
			t.Errorf("%s: %+v, ended %v", doc, s.Usage(), s.Ended())
		}
	}
}

// TestCountsInOtherNotationsHaveTheSameBounds: neither a fraction nor an exponent
// leads past the largest count.
func TestCountsInOtherNotationsHaveTheSameBounds(t *testing.T) {
	for number, want := range map[string]Count{
		"68719476736e0": count(maxCount), "6871947673.6e1": count(maxCount), "687194767360e-1": count(maxCount), "68719476736.0": count(maxCount),
		"68719476736e1": {}, "68719476736e2": {}, "687194767361e-1": {}, "68719476736.5": {}, "68719476735.9": {}, "6.8719476736e11": {},
		"9007199254740992e-15": {}, "9007199254740993e0": {}, "0e1000": count(0), "0e-1000": count(0), "0e99999": count(0), "1e-1": {}, "10e-1": count(1),
	} {
		s := scan(DialectResponses, FormatJSON, `{"usage":{"prompt_tokens":`+number+`}}`, 7)
		if !s.Ended() || s.Usage() != (Usage{Input: want}) {
			t.Errorf("%s: %+v, ended %v", number, s.Usage(), s.Ended())
		}
	}
}

// TestShortHoldsAsMuchAsFits: 32 bytes in whatever pieces; of more, nothing.
func TestShortHoldsAsMuchAsFits(t *testing.T) {
	for n := range 80 {
		for size := 1; size <= n; size++ {
			p := bytes.Repeat([]byte("e"), n)
			var s short
			for rest := p; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				s.add(rest[:min(size, len(rest))])
			}
			if n > 32 {
				p = nil
			}
			if !bytes.Equal(s.bytes(), p) {
				t.Fatalf("%d bytes in pieces of %d: %q", n, size, s.bytes())
			}
		}
	}
}

func TestNothingIsOpenAtTheOutside(t *testing.T) {
	var n nesting
	if n.inObject() {
		t.Error("an object is open")
	}
	for i := range maxDepth {
		if !n.push(i%3 == 0) {
			t.Fatalf("level %d is too deep", i+1)
		}
	}
	if n.push(true) {
		t.Error("one level more")
	}
	for i := maxDepth - 1; i >= 0; i-- {
		if n.inObject() != (i%3 == 0) {
			t.Errorf("level %d: in an object %v", i+1, n.inObject())
		}
		n.pop()
	}
	if n.inObject() {
		t.Error("an object is open after all were closed")
	}
}

func TestEditedBodies(t *testing.T) {
	plainBody, edited := NewBody(text("abc")), NewBody(text("abc"), Edit{1, 2, []byte("xyz")})
	if plainBody.Edited() || !edited.Edited() || plainBody.Len() != 3 || edited.Len() != 5 {
		t.Errorf("%v, %v, %d, %d", plainBody.Edited(), edited.Edited(), plainBody.Len(), edited.Len())
	}
	if b := NewBody(text("abcd"), Edit{0, 0, nil}, Edit{1, 1, nil}, Edit{2, 2, nil}, Edit{3, 4, nil}); b.Len() != 3 {
		t.Errorf("with four edits: %d", b.Len())
	}
	// A prefix that is longer than the name takes all of it, and no more.
	var h Head
	if err := ReadHead(text(`{"model":"a\/b","x":1}`), &h); err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{0, 1, 3, 4, 4, 4} {
		if e := h.StripModelPrefix(n); e.Start != 10 || e.End != 10+want {
			t.Errorf("%d bytes: %+v", n, e)
		}
	}
}

// TestQuestionsAtTheEdges of parts and of blocks.
func TestQuestionsAtTheEdges(t *testing.T) {
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"<memory-k>x</memory-k> b"}]}`:                                         "b",
		`{"messages":[{"role":"user","content":"<memory-k></memory-k>"}]}`:                                            "",
		`{"messages":[{"role":"user","content":"</memory-k><memory-k>x</memory-k>y"}]}`:                               "</memory-k>y",
		`{"messages":[{"role":"user","content":"<mem<memory-k>x</memory-k>ory-k>y"}]}`:                                "<mem ory-k>y",
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`:            "a\nb",
		`{"messages":[{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"b"}]}]}`:             "b",
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[ ],"content":"so"}]}`:           "q",
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","function_call":null,"content":"so"}]}`:       "q",
		`{"messages":[{"role":"user","content":"q\u00e9"},{"role":"assistant","tool_calls":null,"content":"so"}]}`:    "qé",
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"so","tool_calls":[],"name":"x"}]}`: "q",
	} {
		var c Conversation
		if err := c.Read(text(body), DialectChat, testMark); err != nil || string(c.Question().Reveal()) != want {
			t.Errorf("%s: %q, want %q, %v", body, c.Question().Reveal(), want, err)
		}
	}
}

func TestUserTurns(t *testing.T) {
	const user, assistant, tool = `{"role":"user","content":"q"}`, `{"role":"assistant","content":"so"}`, `{"role":"tool","content":"1"}`
	const system = `{"role":"system","content":"be brief"}`
	const picture = `{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}`
	for list, want := range map[string]bool{
		user: true, user + "," + assistant: false, user + "," + assistant + "," + user: true, user + "," + tool: false, user + "," + system: true, user + "," + system + "," + system: true, user + "," + assistant + "," + system: false,
		system + "," + user: true, user + "," + picture: false, picture: false, picture + "," + user: true,
	} {
		var c Conversation
		if err := c.Read(text(`{"messages":[`+list+`]}`), DialectChat, testMark); err != nil || c.UserTurn() != want {
			t.Errorf("[%s]: %v, want %v, %v", list, c.UserTurn(), want, err)
		}
	}
}

// TestCacheMarksFitTheProvidersFour: with the body's own, and two of the client's,
// ours is the fourth; with three it would be the fifth.
func TestCacheMarksFitTheProvidersFour(t *testing.T) {
	for marks, want := range []int{1, 1, 1, 0} {
		var parts []string
		for i := range 3 {
			mark := ""
			if i < marks {
				mark = `,"cache_control":{"type":"ephemeral"}`
			}
			parts = append(parts, `{"type":"text","text":"t"`+mark+`}`)
		}
		body := `{"cache_control":{"type":"ephemeral"},"system":[` + strings.Join(parts, ",") + `],"messages":[{"role":"user","content":"q"}]}`
		var c Conversation
		if err := c.Read(text(body), DialectMessages, testMark); err != nil {
			t.Fatal(err)
		}
		got, _ := inserted(t, &c, body, "BLOCK", false)
		if n := strings.Count(got, "cache_control") - 1 - marks; n != want {
			t.Errorf("%d marks of the client's: %d more, want %d", marks, n, want)
		}
	}
}

// TestBlocksAreEscapedAsFarAsNeeded: what JSON and JavaScript need is escaped, and
// nothing else.
func TestBlocksAreEscapedAsFarAsNeeded(t *testing.T) {
	for c := range rune(0x80) {
		got := string(appendQuoted(nil, []byte(string(c))))
		want := string(c)
		switch {
		case c == '"' || c == '\\':
			want = `\` + string(c)
		case c == '\n':
			want = `\n`
		case c < ' ' || c == 0x7f:
			want = fmt.Sprintf(`\u%04x`, c)
		}
		if got != want {
			t.Errorf("%U: %s, want %s", c, got, want)
		}
	}
	if got := string(appendQuoted(nil, []byte("a \u2027\u2028\u2029\u202a\u0080é😀\xff"))); got != "a \u2027\\u2028\\u2029\u202a\u0080é😀\ufffd" {
		t.Errorf("%q", got)
	}
}

// TestCutBodiesEndTooEarly: wherever a body is cut, that is what is wrong, at its
// end.
func TestCutBodiesEndTooEarly(t *testing.T) {
	body := `{"model":"m\u00e9\n","a":[-0.5e+10,1E-9,2e5,true,null],"stream":false,"b":{"c":"\ud83d\ude00"},"max_tokens":19}`
	for n := range len(body) {
		var h Head
		err := ReadHead(text(body[:n]), &h)
		if syntax, ok := errors.AsType[*SyntaxError](err); !ok || syntax.Reason != reasonTruncated || syntax.Offset != int64(n) || h.HasModel {
			t.Errorf("%s: %v", body[:n], err)
		}
	}
}
