package wire

import (
	"bytes"
	"encoding/json"
	"math/big"
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
		dialect, form := Dialect(d%6), Format(format%4)
		whole := scan(dialect, form, string(answer), len(answer)+1)
		split := scan(dialect, form, string(answer), sizes...)
		for _, when := range []string{"before", "after"} {
			if w, s := verdictOf(whole), verdictOf(split); w != s || whole.TextBytes() != split.TextBytes() || string(whole.ID()) != string(split.ID()) || whole.Over() != split.Over() || whole.GoesOn(false) != split.GoesOn(false) {
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
		`{"usage":{"total_tokens":2.60e+1,"prompt_tokens":2600e-2,"cache_write_tokens":1e308,"completion_tokens":0.00026E5}}`,
		`{"choices":[{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}],"usageMetadata":{"thoughtsTokenCount":3}}`,
		`{"meta":{"tokens":{"input_tokens":7},"billed_units":{"input_tokens":5,"output_tokens":2}},"delta":{"usage":{"tokens":{"output_tokens":8}}}}`,
		`{"result":{"usage":{"totalTokens":7,"inputTokens":2},"meta":{"input_tokens":9}}}`,
		`[{"usageMetadata":{"totalTokenCount":9}},{"usageMetadata":{"thoughtsTokenCount":3,"iterations":[{"input_tokens":2}]}}]`,
		`{"result":{"message":{"usage":{"input_tokens":4,"iterations":[{"input_tokens":2},{"output_tokens":1}]}},"usage":{"input_tokens":9}},"request_id":"r"}`,
		`{"message":{"usage":{"iterations":[{"input_tokens":2,"cache_read_input_tokens":7},[{"input_tokens":9}],{"output_tokens":1,"cache_creation_input_tokens":5}]}}}`,
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
		got := reference{usage: s.usage, model: string(s.Model()), failed: s.Failed(), finished: s.finishReason}
		if s.Ended() != valid || got != want {
			t.Fatalf("%s: got %+v (ended %v), want %+v (valid %v)", answer, got, s.Ended(), want, valid)
		}
	})
}

// reference reads the same members with encoding/json, by their full paths.
type reference struct {
	usage    reported
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
	for _, wrap := range []string{"", "/response", "/message", "/x_groq", "/choices/[]", "/result/message", "/result", "/content", "/reasoning_content", "/reasoning", "/refusal", "/arguments", "/delta", "/text", "/thinking", "/partial_json", "/transcript"} {
		rest, ok := strings.CutPrefix(path, wrap+"/")
		switch {
		case !ok || wrap != "" && wrap != "/response" && wrap != "/message" && wrap != "/x_groq" && !strings.HasPrefix(rest, "usage/"):
		case (rest == "model" || rest == "modelVersion") && isString && isIdentifier(str):
			r.model = str
		case isNumber:
			r.count(rest, string(number))
		}
	}
	if rest, ok := strings.CutPrefix(path, "/meta/"); ok && isNumber {
		r.count("usage/"+rest, string(number))
	}
	path = strings.TrimPrefix(path, "/[]") // one of an array of answers
	if rest, ok := strings.CutPrefix(path, "/usageMetadata/"); ok && isNumber {
		r.count("usage/"+rest, string(number))
	}
	if path == "/usageMetadata" && !isString && !isNumber && tok != nil && tok != true && tok != false {
		r.usage.thoughts = true
	}
}

func isIdentifier(s string) bool {
	const bytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"
	return s != "" && len(s) <= maxNameBytes && strings.Trim(s, bytes) == ""
}

// referenceCount reads a number exactly: a count is whole and in bounds.
func referenceCount(number string) (int64, bool) {
	if _, exponent, ok := strings.Cut(strings.ToLower(number), "e"); ok && len(strings.Trim(exponent, "+-0")) > 3 {
		return 0, false // math/big would write out the zeros
	}
	exact, ok := new(big.Rat).SetString(number)
	if !ok || !exact.IsInt() || number[0] == '-' || !exact.Num().IsInt64() || exact.Num().Int64() > maxCount {
		return 0, false
	}
	return exact.Num().Int64(), true
}

// details are the members whose counts are read a level further down.
var details = strings.NewReplacer("prompt_tokens_details/", "details/", "input_tokens_details/", "details/",
	"completion_tokens_details/", "details/", "output_tokens_details/", "details/", "usage/tokens/", "usage/units/", "usage/billed_units/", "usage/units/")

func (r *reference) count(path, number string) {
	n, ok := referenceCount(number)
	if !ok {
		return
	}
	if step, ok := strings.CutPrefix(path, "usage/iterations/[]/"); ok {
		switch step {
		case "input_tokens", "inputTokens":
			r.usage.steps.Input.add(n)
		case "output_tokens", "outputTokens":
			r.usage.steps.Output.add(n)
		case "cache_read_input_tokens", "cacheReadInputTokens":
			r.usage.steps.CachedInput.add(n)
		case "cache_creation_input_tokens", "cache_write_tokens", "cacheWriteInputTokens":
			r.usage.steps.CacheWrite.add(n)
		}
	}
	switch details.Replace(path) {
	case "usage/prompt_tokens", "usage/input_tokens", "usage/promptTokenCount", "usage/inputTokens",
		"usage/units/input_tokens", "usage/units/inputTokens":
		r.usage.Input.raise(n)
	case "usage/completion_tokens", "usage/output_tokens", "usage/candidatesTokenCount", "usage/outputTokens",
		"usage/units/output_tokens", "usage/units/outputTokens":
		r.usage.Output.raise(n)
	case "usage/cached_tokens", "usage/cache_read_input_tokens", "usage/cacheReadInputTokens", "usage/prompt_cache_hit_tokens", "usage/num_cached_tokens", "usage/cachedContentTokenCount",
		"usage/details/cached_tokens", "usage/details/prompt_cache_hit_tokens", "usage/details/num_cached_tokens", "usage/details/cachedContentTokenCount":
		r.usage.CachedInput.raise(n)
	case "usage/cache_creation_input_tokens", "usage/cache_write_tokens", "usage/cacheWriteInputTokens",
		"usage/details/cache_creation_input_tokens", "usage/details/cache_write_tokens", "usage/details/cacheWriteInputTokens":
		r.usage.CacheWrite.raise(n)
	case "usage/reasoning_tokens", "usage/thoughtsTokenCount", "usage/details/reasoning_tokens", "usage/details/thoughtsTokenCount":
		r.usage.Reasoning.raise(n)
	case "usage/total_tokens", "usage/totalTokens", "usage/totalTokenCount":
		r.usage.total.raise(n)
	}
}
