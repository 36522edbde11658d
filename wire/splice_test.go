package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"testing"
	"unicode/utf8"
)

func TestBodyWithoutEditLeavesAsItCame(t *testing.T) {
	const s = "{ \"model\":\"m\" ,\"n\":12345678901234567890, \"u\":\"\\u00e9\" }"
	b := NewBody(text(s))
	var out bytes.Buffer
	if n, err := b.WriteTo(&out); err != nil || n != int64(len(s)) || out.String() != s || b.Len() != len(s) {
		t.Errorf("got %q (%d, %v)", out.String(), n, err)
	}
}

func TestStripModelPrefix(t *testing.T) {
	f := func(body string, n int, want string) {
		t.Helper()
		var h Head
		tx := text(body)
		if err := ReadHead(tx, &h); err != nil {
			t.Fatal(err)
		}
		b := NewBody(tx, h.StripModelPrefix(n))
		var out bytes.Buffer
		if _, err := b.WriteTo(&out); err != nil || out.String() != want || b.Len() != len(want) {
			t.Errorf("got %q, Len %d, want %q", out.String(), b.Len(), want)
		}
	}
	f(`{"model":"openai/gpt-4o"}`, 7, `{"model":"gpt-4o"}`)
	f(`{ "model" : "openai\/gpt-4o", "x":1 }`, 7, `{ "model" : "gpt-4o", "x":1 }`)
	f(`{"model":"\u006fpenai\u002fgpt\u002d4o"}`, 7, `{"model":"gpt\u002d4o"}`)
	f(`{"model":"groq/"}`, 5, `{"model":""}`)
}

// FuzzStripModelPrefix: the body without an edit is the same bytes; without a
// prefix of its model it is the same JSON but for the model.
func FuzzStripModelPrefix(f *testing.F) {
	f.Add([]byte(`{"model":"openai/gpt-4o","n":12345678901234567890}`), uint8(7))
	f.Add([]byte(`{ "a":[1,{"model":"x"}], "model" : "\u006fpenai\/\ud83d\ude00" }`), uint8(7))
	f.Add([]byte(`{"model":"\ud800\ud800\udc00/é"}`), uint8(3))
	f.Fuzz(func(t *testing.T, body []byte, prefix uint8) {
		var h Head
		tx := NewText(&body)
		if ReadHead(tx, &h) != nil {
			return
		}
		if same := sent(t, NewBody(tx)); !bytes.Equal(same, body) {
			t.Fatalf("%q left as %q", body, same)
		}
		n := min(int(prefix), len(h.Model))
		if n < len(h.Model) && !utf8.RuneStart(h.Model[n]) {
			return // not the end of a character
		}
		want := string(h.Model[n:])
		edited := sent(t, NewBody(tx, h.StripModelPrefix(n)))
		var after Head
		if err := ReadHead(NewText(&edited), &after); err != nil || string(after.Model) != want || after.HasModel != h.HasModel || after.Stream != h.Stream {
			t.Fatalf("%q became %q: model %q, %v", body, edited, after.Model, err)
		}
		same := func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }
		if !maps.EqualFunc(othersOf(t, body), othersOf(t, edited), same) {
			t.Fatalf("%q became %q", body, edited)
		}
	})
}

// othersOf gives the raw members of a body but for its model.
func othersOf(t *testing.T, body []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "model")
	return m
}

// sent gives what a body writes, and checks that its length is the announced
// one.
func sent(t *testing.T, b Body) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := b.WriteTo(&out)
	if err != nil || n != int64(out.Len()) || b.Len() != out.Len() {
		t.Fatalf("wrote %d bytes, said %d, announced %d: %v", out.Len(), n, b.Len(), err)
	}
	return out.Bytes()
}

func TestBodyStopsAtTheFirstFailedWrite(t *testing.T) {
	b := NewBody(text("0123456789"), Edit{Start: 4, End: 5, With: []byte("x")})
	w := &fullWriter{room: 4}
	if n, err := b.WriteTo(w); !errors.Is(err, io.ErrShortWrite) || n != 4 || w.calls != 2 {
		t.Errorf("got %d after %d writes, %v", n, w.calls, err)
	}
}

// fullWriter takes so many bytes and then no more.
type fullWriter struct{ room, calls int }

func (w *fullWriter) Write(p []byte) (int, error) {
	w.calls++
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestBodyAppliesEditsInOrder(t *testing.T) {
	b := NewBody(text("0123456789"), Edit{Start: 0, End: 2, With: []byte("ab")}, Edit{Start: 5, End: 5, With: []byte("--")}, Edit{Start: 9, End: 10})
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil || out.String() != "ab234--5678" || b.Len() != out.Len() {
		t.Errorf("got %q, Len %d", out.String(), b.Len())
	}
}
