package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/wire"
)

// FuzzRead: a body is read exactly when it is one JSON object in UTF-8, of the
// members and types that the call takes; an error names a member and quotes no
// value.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		"", "{}", "[]", `{"query":"q","options":{"top_k":3,"as_of":"2026-01-02T03:04:05Z","top_k_per_bucket":{"a":1}}}`, `{"query":7,"x":1}`, `{"options":{"as_of":"quoted text"}}`,
		`{"query":"q"} x`, "{\"query\":\"\xff\"}", `{"query":"`, `{"stream":"quoted text"}`, `{"options":{"top_k":1e3,"max_tokens":1.5}}`, `{"` + strings.Repeat("x", 100) + `":1}`, `{"a\"b\u0007é":1}`,
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, strict bool) {
		var in, want queryBody
		c := call{Call: &Call{Body: wire.NewText(&body)}}
		err := c.read(&in, strict)
		var members map[string]json.RawMessage
		takes := utf8.Valid(body) && json.Unmarshal(body, &members) == nil && members != nil && json.Unmarshal(body, &want) == nil
		if err == nil {
			if !takes {
				t.Fatalf("%q was read as %+v", body, in)
			}
			return
		}
		var invalid *memory.InvalidError
		if !errors.As(err, &invalid) || takes && (!strict || invalid.Reason != "there is no such member") {
			t.Fatalf("%q: %v", body, err)
		}
		if len(invalid.Field) > 100 || len(invalid.Reason) > 100 || strings.Contains(invalid.Error(), "quoted") && !strings.Contains(invalid.Field, "quoted") {
			t.Fatalf("%q: %v", body, err)
		}
		for _, r := range invalid.Error() {
			if r < ' ' || r > '~' {
				t.Fatalf("%q: %q", body, invalid.Error())
			}
		}
	})
}

// FuzzPerBucket: the numbers by bucket are those of the body, never below zero;
// what is neither a number nor numbers is refused.
func FuzzPerBucket(f *testing.F) {
	for _, raw := range []string{"", "null", " null ", "0", "3", "-1", "1e1", "1.5", `{"a":3,"b":-1}`, "{}", "[]", `{"a":null}`} {
		f.Add([]byte(raw), "a")
	}
	f.Fuzz(func(t *testing.T, raw []byte, bucket string) {
		if len(raw) > 0 && !json.Valid(raw) {
			return // it is part of a body that was read
		}
		of, err := readPerBucket(raw, 8)
		var number int
		var named map[string]int
		isNumber, isNamed := json.Unmarshal(raw, &number) == nil, json.Unmarshal(raw, &named) == nil
		switch absent := len(notNull(raw)) == 0; {
		case err != nil:
			if isNamed || isNumber && number > 0 {
				t.Fatalf("%q: %v", raw, err)
			}
		case absent:
			if of != nil {
				t.Fatalf("%q gives %d", raw, of(bucket))
			}
		case isNamed:
			want, ok := named[bucket]
			if got := of(bucket); ok && got != max(0, want) || !ok && got != 8 {
				t.Fatalf("%q gives %d to %q", raw, got, bucket)
			}
		case of(bucket) != number || number <= 0:
			t.Fatalf("%q gives %d to %q", raw, of(bucket), bucket)
		}
	})
}
