package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"testing"
)

func TestEveryFormIsFound(t *testing.T) {
	mark, other := New("prompt"), New("key")
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	if hits := Find(noise, []Mark{mark, other}); len(hits) != 0 {
		t.Fatalf("found in noise: %v", hits)
	}
	if n := len(Forms()); n != 19 {
		t.Errorf("%d forms, docs/inference-path.md says 19", n)
	}
	for _, form := range Forms() {
		hits := Find(Plant(noise, mark, form), []Mark{mark, other})
		if len(hits) == 0 || hits[0].Mark != "prompt" {
			t.Errorf("%s: %v", form, hits)
		}
	}
}

// What encoders make of a text with the mark in it is found, wherever it stands.
func TestEncodersAreSeenThrough(t *testing.T) {
	mark := New("prompt")
	for before := range 7 {
		text := string(bytes.Repeat([]byte{'a'}, before)) + `"` + mark.Core + `" and more`
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"json": quoted, "query": []byte(url.QueryEscape(text)), "path": []byte(url.PathEscape(text)),
			"base64": []byte(base64.StdEncoding.EncodeToString([]byte(text))), "base64url": []byte(base64.URLEncoding.EncodeToString([]byte(text))),
			"json in base64 in json": []byte(base64.RawStdEncoding.EncodeToString(quoted)),
		} {
			if hits := Find(b, []Mark{mark}); len(hits) == 0 {
				t.Errorf("%s, behind %d bytes: not found", name, before)
			}
		}
	}
}
