package main

import (
	"encoding/json"
	"testing"

	"github.com/alecthomas/kong"
)

// TestPermissionFlags: what is named goes into the call, also an empty list, and
// nothing else.
func TestPermissionFlags(t *testing.T) {
	for want, flags := range map[string][]string{
		`{}`: nil,
		`{"models":["gpt-*","o3"],"scopes":["inference"]}`:           {"--model", "gpt-*", "--model", "o3", "--scope", "inference"},
		`{"bucket":"team-a","buckets":{"read":["team-*"]}}`:          {"--bucket", "team-a", "--read-bucket", "team-*"},
		`{"bucket":"team-a","buckets":{"write":[]},"endpoints":[]}`:  {"--bucket", "team-a", "--write-bucket", "", "--endpoint", ""},
		`{"credentials":["a"],"endpoints":["/v1/x"],"memory":"off"}`: {"--credential", "a", "--endpoint", "/v1/x", "--memory", "off"},
	} {
		var f PermissionFlags
		parser, err := kong.New(&f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(flags); err != nil {
			t.Fatal(err)
		}
		in := map[string]any{}
		f.addTo(in)
		if got, err := json.Marshal(in); err != nil || string(got) != want {
			t.Errorf("%q: %s, want %s", flags, got, want)
		}
	}
}

// TestUnconfinedTokensAreListedSo: the column of buckets says it in words.
func TestUnconfinedTokensAreListedSo(t *testing.T) {
	for answer, want := range map[string]string{
		`{"unconfined":true,"buckets":{"read":["*"],"write":["*"]}}`: "all (unconfined)",
		`{"buckets":{"read":["a"],"write":["a"]}}`:                   "a",
		`{"buckets":{"read":["a","b"],"write":[]}}`:                  "read a,b; write none",
	} {
		var token tokenAnswer
		if err := json.Unmarshal([]byte(answer), &token); err != nil || token.buckets() != want {
			t.Errorf("%s: %q, want %q (%v)", answer, token.buckets(), want, err)
		}
	}
}
