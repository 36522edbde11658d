package main

import (
	"strings"
	"testing"
)

// TestDevCredentials: what is wrong about the flag is said, and nothing that may be
// a secret is.
func TestDevCredentials(t *testing.T) {
	for given, want := range map[string]string{
		"openai=sk-1":            "",
		"own=sk=1":               "",
		"openai":                 "there is no =",
		"sk-proj-1234":           "there is no =",
		"openai=":                "openai=: the secret is missing",
		"=sk-proj-1234":          "NAME of a provider",
		"nope=sk-proj-1234":      "there is no provider nope; add it with --provider nope=URL",
		"openai/main=sk-1234":    "NAME of a provider",
		"sk-proj-1234+abcd==":    "NAME of a provider",
		"OPENAI_API_KEY=sk-1234": "NAME of a provider",
	} {
		_, err := (&DevCmd{Credential: []string{given}, Provider: []string{"own=http://127.0.0.1:1/v1"}}).config()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (want == "") != (err == nil) || !strings.Contains(got, want) || strings.Contains(got, "1234") {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}
