package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// FuzzScanner: any chunking gives what the whole gives, before and after the
// end; nothing panics.
func FuzzScanner(f *testing.F) {
	for i, s := range []string{
		chatStream, messagesStream, responsesStream, deepseekStream, strings.ReplaceAll(messagesStream, "\n", "\r\n"),
		"data: {\"a\":[[[[[[[{}]]]]]]]}\r\r\n\r\ndata", "\xef\xbbdata\n\xef\xbb\xbf:\ndata:\ndata:[DONE]\n",
		`{"usage":{"prompt_tokens":1e5},"error":"\u00e9\/"}`,
	} {
		f.Add([]byte(s), uint8(i), uint8(i), []byte{0, 6, 1, 30})
		f.Add([]byte(s), uint8(i), uint8(FormatSSE), []byte{0})
	}
	f.Fuzz(func(t *testing.T, answer []byte, d, format uint8, cuts []byte) {
		sizes := []int{len(answer) + 1}
		for i, c := range cuts {
			sizes = append(sizes[:i], 1+int(c))
		}
		dialect, form := Dialect(d%6), Format(format%3)
		whole := scan(dialect, form, string(answer), len(answer)+1)
		split := scan(dialect, form, string(answer), sizes...)
		for _, when := range []string{"before", "after"} {
			if w, s := verdictOf(whole), verdictOf(split); w != s {
				t.Fatalf("%s the end: whole %+v, split %+v", when, w, s)
			}
			whole.Finish()
			split.Finish()
		}
	})
}

// FuzzScannerMembers: what is read of a JSON value is what encoding/json
// reads; of what is not JSON, or was cut, nothing.
func FuzzScannerMembers(f *testing.F) {
	for _, s := range []string{
		`{"usage":{"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":3}},"model":"a/b"}`,
		`{"a":"\"usage\":{","usage":{"prompt_tokens":7,"x":{"prompt_tokens":9}},"error":{}}`,
		`{"response":{"usage":{"output_tokens":9007199254740993,"output_tokens_details":{"reasoning_tokens":0}}}}`,
		`{"message":{"model":"m","usage":{"cache_read_input_tokens":1,"cache_creation_input_tokens":-0}}}`,
		`{"x_groq":[{"usage":{"input_tokens":1}}],"usage":[{"input_tokens":1}],"error":0}`,
		`{"usage":{"completion_tokens":1`, `{"usage":{"completion_tokens":01}}`, `{"error":-1e+0,}`, `{"usage":{"input_tokens":18446744073709551617,"x":1e+}}`, `[{"model":"m"}]`,
		`{"choices":[{"finish_reason":"stop"},{"finish_reason":null}]}`, `{"choices":{"a":{"finish_reason":"stop"}},"type":"error"}`,
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, answer []byte, size uint8) {
		if bytes.Count(answer, []byte("{"))+bytes.Count(answer, []byte("[")) > maxDepth {
			return // depth is bounded
		}
		s := scan(DialectChat, FormatJSON, string(answer), 1+int(size))
		s.Finish()
		var want reference
		valid := json.NewDecoder(bytes.NewReader(answer)).Decode(new(json.RawMessage)) == nil
		if bytes.Contains(answer, []byte(`\u`)) { // names in hexadecimal are not looked for
			if s.Ended() != valid {
				t.Fatalf("%s: ended %v, valid %v", answer, s.Ended(), valid)
			}
			return
		}
		if valid {
			want.read(t, json.NewDecoder(bytes.NewReader(answer)))
		}
		got := reference{usage: s.Usage(), model: string(s.Model()), failed: s.Failed(), finished: s.finishReason}
		if s.Ended() != valid || got != want {
			t.Fatalf("%s: got %+v (ended %v), want %+v (valid %v)", answer, got, s.Ended(), want, valid)
		}
	})
}

// reference reads the same members with encoding/json, by their full paths.
type reference struct {
	usage    Usage
	model    string
	failed   bool
	finished bool
	end      ending
}

func (r *reference) read(t *testing.T, dec *json.Decoder) {
	dec.UseNumber()
	r.value(t, dec, "")
	r.failed = r.failed || r.end == endsFailed
	r.end = goesOn
}

func (r *reference) value(t *testing.T, dec *json.Decoder, path string) {
	tok := next(t, dec)
	r.scalar(tok, path)
	delim, container := tok.(json.Delim)
	if !container {
		return
	}
	for dec.More() {
		at := path + "/[]"
		if delim == '{' {
			key := next(t, dec).(string)
			at = path + "/" + strings.NewReplacer("/", "~", "[]", "~").Replace(key)
		}
		r.value(t, dec, at)
	}
	next(t, dec) // the end of the array or object
}

func next(t *testing.T, dec *json.Decoder) json.Token {
	tok, err := dec.Token()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (r *reference) scalar(tok json.Token, path string) {
	str, isString := tok.(string)
	number, isNumber := tok.(json.Number)
	switch {
	case path == "/error":
		falsy := tok == nil || tok == false || isString && str == "" || isNumber && (number == "0" || number == "-0")
		r.failed = r.failed || !falsy
	case path == "/type" && isString:
		r.end = endingOf([]byte(str))
	case path == "/choices/[]/finish_reason" && isString:
		r.finished = true
	}
	for _, wrap := range []string{"", "/response", "/message", "/x_groq"} {
		rest, ok := strings.CutPrefix(path, wrap+"/")
		switch {
		case !ok:
		case rest == "model" && isString && isIdentifier(str):
			r.model = str
		case isNumber:
			r.count(rest, string(number))
		}
	}
}

func isIdentifier(s string) bool {
	const bytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"
	return s != "" && len(s) <= maxNameBytes && strings.Trim(s, bytes) == ""
}

func (r *reference) count(path, number string) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > maxCount || number[0] == '-' {
		return
	}
	c := count(n)
	switch path {
	case "usage/prompt_tokens", "usage/input_tokens":
		r.usage.Input = c
	case "usage/completion_tokens", "usage/output_tokens":
		r.usage.Output = c
	case "usage/cached_tokens", "usage/cache_read_input_tokens", "usage/prompt_tokens_details/cached_tokens", "usage/input_tokens_details/cached_tokens",
		"usage/completion_tokens_details/cached_tokens", "usage/output_tokens_details/cached_tokens":
		r.usage.CachedInput = c
	case "usage/cache_creation_input_tokens":
		r.usage.CacheWrite = c
	case "usage/reasoning_tokens", "usage/completion_tokens_details/reasoning_tokens", "usage/output_tokens_details/reasoning_tokens",
		"usage/prompt_tokens_details/reasoning_tokens", "usage/input_tokens_details/reasoning_tokens":
		r.usage.Reasoning = c
	}
}
