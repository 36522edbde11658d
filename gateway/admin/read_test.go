package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// lender is a body that remembers where it was read to.
type lender struct {
	rest   []byte
	copies [][]byte
}

func (l *lender) Read(p []byte) (int, error) {
	n := copy(p, l.rest)
	if l.rest = l.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	l.copies = append(l.copies, p[:n])
	return n, nil
}

// FuzzRead: a body is read exactly when it is one JSON object of the members
// that the call takes, as encoding/json reads them; whatever it is, nothing of
// it stays in memory, and no answer quotes a secret.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		"", "{}", "[]", `{"secret":"sk-secret","base_url":"https://x","test":true,"models":["a"]}`, `{"secret":["sk-secret"]}`,
		`{"SECRET":"sk-secret"}`, `{"secret":"sk-a"} {}`, `{"base_url":7}`, `{"base_url":"sk-secret","x":"sk-secret"}`, `{"secret":" sk-secret\n"}`, `{"secret":"sk-secret`, `{"models":{"a":"sk-secret"}}`,
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, sized bool) {
		former := plaintext("sk-former")
		var in struct {
			Secret  plaintext `json:"secret"`
			BaseURL string    `json:"base_url"`
			Test    bool      `json:"test"`
			Models  []string  `json:"models"`
		}
		in.Secret = former
		from := &lender{rest: bytes.Clone(body)}
		r := &http.Request{Body: io.NopCloser(from), ContentLength: -1}
		if sized {
			r.ContentLength = int64(len(body))
		}
		err := read(r, &in)
		for _, c := range from.copies {
			if len(bytes.Trim(c, "\x00")) > 0 {
				t.Fatalf("%q stays in memory of %q", c, body)
			}
		}
		if &in.Secret[0] != &former[0] && len(bytes.Trim(former, "\x00")) > 0 {
			t.Fatalf("%q replaced a secret that stays in memory", body)
		}
		var want struct {
			Secret  *string  `json:"secret"`
			BaseURL string   `json:"base_url"`
			Test    bool     `json:"test"`
			Models  []string `json:"models"`
		}
		var names map[string]json.RawMessage
		takes := json.Unmarshal(body, &names) == nil && names != nil
		for name := range names {
			takes = takes && slices.Contains([]string{"secret", "base_url", "test", "models"}, name)
		}
		takes = takes && json.Unmarshal(body, &want) == nil
		if err == nil {
			if !takes || in.BaseURL != want.BaseURL || in.Test != want.Test || !reflect.DeepEqual(in.Models, want.Models) || want.Secret != nil && string(in.Secret) != strings.Trim(*want.Secret, " \r\n") {
				t.Fatalf("%q was read as %+v, want %+v", body, in, want)
			}
			return
		}
		var own *failure
		if !errors.As(err, &own) || own.status != http.StatusBadRequest || takes && own.param != "secret" {
			t.Fatalf("%q: %v", body, err)
		}
		if strings.Contains(own.message+own.param, "sk-secret") && !strings.Contains(own.param, "sk-secret") {
			t.Fatalf("%q: %s", body, own.message)
		}
	})
}

// FuzzReadMember: what a member that is an object holds is what encoding/json
// reads, or the answer names the member.
func FuzzReadMember(f *testing.F) {
	for _, raw := range []string{"", "null", "{}", "[]", "7", `{"x":1}`, `{"extraction_model":"m","embeddings_model":null}`, `{"extraction_model":7}`, `{"Extraction_model":"m"}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var change, want directory.MemoryChange
		err := readMember(raw, "memory", &change)
		var own *failure
		if err != nil {
			if !errors.As(err, &own) || own.status != http.StatusBadRequest || json.Valid(raw) && own.param != "memory" && !strings.HasPrefix(own.param, "memory.") {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if len(raw) > 0 && string(raw) != "null" {
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatalf("%q was taken: %v", raw, err)
			}
		}
		if !reflect.DeepEqual(change, want) {
			t.Fatalf("%q was read as %+v, want %+v", raw, change, want)
		}
	})
}
