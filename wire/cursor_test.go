package wire

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzCursor: in a body that ReadHead accepts, a walk meets the values that
// encoding/json meets, in their order, under their names, and leaves nothing.
func FuzzCursor(f *testing.F) {
	for _, body := range []string{
		`{}`, " {\t\"a\" : [ 1 ,-2.5e+3, true,null ,\"]}\\\"\" , [ ] , { } ]\r\n, \"a\":{\"b\":\"\\\\\"} } ",
		`{"\u0061":"\ud83d\ude00","":[[[]],[{}]],"n":0}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var h Head
		if ReadHead(NewText(&body), &h) != nil {
			return
		}
		start := bytes.IndexByte(body, '{')
		walk(t, body, span{start, valueEnd(body, start)})
		if rest := bytes.TrimSpace(body[valueEnd(body, start):]); len(rest) > 0 {
			t.Fatalf("%q stands behind the object", rest)
		}
	})
}

// walk compares a value's parts with what encoding/json reads at the same place.
func walk(t *testing.T, body []byte, at span) {
	t.Helper()
	raw := at.of(body)
	if !json.Valid(raw) || len(bytes.TrimSpace(raw)) != len(raw) {
		t.Fatalf("%q was taken for a value", raw)
	}
	if raw[0] != '{' && raw[0] != '[' {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	next(t, dec) // the opening bracket
	c := enter(body, at.start)
	for dec.More() {
		var value span
		var name []byte
		var ok bool
		if raw[0] == '{' {
			name, value, ok = c.member()
			if key := next(t, dec); ok && string([]rune(string(name))) != key {
				t.Fatalf("%q is a name, want %q", name, key)
			}
		} else {
			value, ok = c.element()
		}
		var want json.RawMessage
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !ok || string(value.of(body)) != string(want) {
			t.Fatalf("%q has the value %q, %v; want %q", raw, value.of(body), ok, want)
		}
		walk(t, body, value)
	}
	if more, ok := c.element(); ok {
		t.Fatalf("%q goes on with %q", raw, more.of(body))
	}
}
