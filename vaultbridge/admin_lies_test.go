package vaultbridge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// script stands where Vault is, for the admin identity. It gives the next of the
// answers that a call has, and the last one again. What begins with a digit is a
// status alone.
type script struct {
	*Transit
	mu      sync.Mutex
	answers map[string][]string
	calls   []string // but logins and probes
	bodies  []string
}

const (
	fitKey   = `{"data":{"type":"aes256-gcm96","derived":true,"latest_version":3,"min_decryption_version":2}}`
	goodSeal = `{"data":{"ciphertext":"vault:v3:AAAA","key_version":3}}`
	done     = `{}`
	refused  = "405"
)

// goodMAC is an answer with a MAC of n bytes.
func goodMAC(n int) string {
	return `{"data":{"hmac":"vault:v1:` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xab}, n)) + `"}}`
}

func newScript(t *testing.T, answers map[string][]string) *script {
	t.Helper()
	s := &script{answers: answers}
	s.Transit = newDouble(t, s.serve).keyring()
	return s
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/v1/transit/") {
		handOutToken(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	call := strings.Replace(r.Method, http.MethodPost, http.MethodPut, 1) + " " + strings.TrimPrefix(r.URL.Path, "/v1/transit/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.bodies = append(s.calls, call), append(s.bodies, string(body))
	left := s.answers[call]
	switch {
	case len(left) == 0:
		http.Error(w, `{"errors":[]}`, http.StatusTeapot)
	case left[0] == refused:
		http.Error(w, `{"errors":[]}`, http.StatusMethodNotAllowed)
	case left[0] == "404", left[0] == "400":
		w.WriteHeader(map[string]int{"404": http.StatusNotFound, "400": http.StatusBadRequest}[left[0]])
		_, _ = io.WriteString(w, `{"errors":[]}`)
	default:
		_, _ = io.WriteString(w, left[0])
	}
	if len(left) > 1 {
		s.answers[call] = left[1:]
	}
}

// did gives the calls since the last time.
func (s *script) did() (calls []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls, s.calls = s.calls, nil
	return calls
}

const (
	getKey  = "GET keys/ownkey-acme"
	putKey  = "PUT keys/ownkey-acme"
	dropKey = "DELETE keys/ownkey-acme"
	config  = "PUT keys/ownkey-acme/config"
	rotate  = "PUT keys/ownkey-acme/rotate"
	encrypt = "PUT encrypt/ownkey-acme"
	rewrap  = "PUT rewrap/ownkey-acme"
	macOfFP = "PUT hmac/" + fingerprintKey
)

// TestKeyIsCheckedBeforeItSeals: a key is made when there is none, looked at once,
// and not sealed with when it is unfit or nothing is known of it.
func TestKeyIsCheckedBeforeItSeals(t *testing.T) {
	all := func(keys ...string) map[string][]string {
		return map[string][]string{getKey: keys, putKey: {done}, encrypt: {goodSeal}, macOfFP: {goodMAC(32)}}
	}
	key := func(from, to string) string { return strings.Replace(fitKey, from, to, 1) }
	for name, f := range map[string]struct {
		answers map[string][]string
		want    error
		calls   []string
	}{
		"a fit key":       {all(fitKey), nil, []string{getKey, encrypt, macOfFP}},
		"none yet":        {all("404", fitKey), nil, []string{getKey, putKey, getKey, encrypt, macOfFP}},
		"none afterwards": {all("404"), ErrUnsealable, []string{getKey, putKey, getKey}},
		"not made":        {map[string][]string{getKey: {"404"}, putKey: {refused}}, ErrUnavailable, []string{getKey, putKey}},
		"refused":         {all(refused), ErrUnavailable, []string{getKey}},
		"no JSON":         {all("<html>"), ErrUnavailable, []string{getKey}},
		"no key in it":    {all(done), ErrUnavailable, []string{getKey}},
		"another type":    {all(key("aes256-gcm96", "rsa-2048")), ErrKeySettings, []string{getKey}},
		"not derived":     {all(key("true", "false")), ErrKeySettings, []string{getKey}},
		"exportable":      {all(key(`"derived"`, `"exportable":true,"derived"`)), ErrKeySettings, []string{getKey}},
		"to be backed up": {all(key(`"derived"`, `"allow_plaintext_backup":true,"derived"`)), ErrKeySettings, []string{getKey}},
	} {
		s := newScript(t, f.answers)
		_, err := s.Seal(t.Context(), testContext, []byte("sk-test"))
		if got := s.did(); !errors.Is(err, f.want) || f.want == nil && err != nil || !slices.Equal(got, f.calls) {
			t.Errorf("%s: %v after %v, want %v after %v", name, err, got, f.want, f.calls)
		}
		if err != nil {
			continue
		}
		if _, err := s.Seal(t.Context(), testContext, []byte("sk-test")); err != nil || slices.Contains(s.did(), getKey) {
			t.Errorf("%s: a second time: %v", name, err)
		}
	}
}

// TestAnswersToASealThatAreNone: what Vault gives is stored only when it is a
// ciphertext and a MAC that is long enough for a fingerprint.
func TestAnswersToASealThatAreNone(t *testing.T) {
	for _, f := range []struct {
		seal, mac string
		ok        bool
	}{
		{goodSeal, goodMAC(fingerprintBytes), true},
		{goodSeal, goodMAC(32), true},
		{goodSeal, goodMAC(fingerprintBytes - 1), false},
		{goodSeal, goodMAC(0), false},
		{goodSeal, `{"data":{"hmac":"vault:v1:?"}}`, false},
		{goodSeal, refused, false},
		{goodSeal, "<html>", false},
		{`{"data":{"ciphertext":"AAAA"}}`, goodMAC(32), false},
		{done, goodMAC(32), false},
		{refused, goodMAC(32), false},
		{"<html>", goodMAC(32), false},
	} {
		s := newScript(t, map[string][]string{getKey: {fitKey}, encrypt: {f.seal}, macOfFP: {f.mac}})
		for _, secret := range []string{"", "sk-test", strings.Repeat("long", 100)} {
			sealed, err := s.Seal(t.Context(), testContext, []byte(secret))
			if f.ok != (err == nil) || !f.ok && !errors.Is(err, ErrUnavailable) {
				t.Errorf("%+v: %v", f, err)
			}
			if want := strings.Repeat("ab", fingerprintBytes); err == nil && (sealed.Blob != "vault:v3:AAAA" || sealed.KeyVersion != 3 || sealed.Fingerprint != want) {
				t.Errorf("%+v", sealed)
			}
		}
	}
}

// TestPlaintextBodyIsOneAllocation: a second one would leave the secret behind
// when the body is wiped.
func TestPlaintextBodyIsOneAllocation(t *testing.T) {
	for n := range 100 {
		secret := bytes.Repeat([]byte("s"), n)
		body := plaintextBody(`{"plaintext":"`, secret)
		var got struct{ Plaintext []byte }
		if err := json.Unmarshal(body, &got); err != nil || !bytes.Equal(got.Plaintext, secret) || cap(body) != len(body) {
			t.Errorf("%d bytes: %s, %v; %d of %d bytes are used", n, body, err, len(body), cap(body))
		}
	}
}

// TestAnswersToARewrap: as many ciphertexts as were sent, in batches of as many as
// fit, or an error.
func TestAnswersToARewrap(t *testing.T) {
	answer := func(n int, last string) string {
		return `{"data":{"batch_results":[` + strings.TrimPrefix(strings.Repeat(`,{"ciphertext":"vault:v4:AAAA"}`, n-1)+","+last, ",") + `]}}`
	}
	good := `{"ciphertext":"vault:v4:AAAA"}`
	for name, f := range map[string]struct {
		blobs   int
		answers []string
		calls   int
		want    error
	}{
		"none":                {0, nil, 0, nil},
		"one":                 {1, []string{answer(1, good)}, 1, nil},
		"three":               {3, []string{answer(3, good)}, 1, nil},
		"a batch":             {maxBatch, []string{answer(maxBatch, good)}, 1, nil},
		"more than a batch":   {2*maxBatch + 1, []string{answer(maxBatch, good), answer(maxBatch, good), answer(1, good)}, 3, nil},
		"one too few":         {3, []string{answer(2, good)}, 1, ErrUnavailable},
		"one too many":        {3, []string{answer(4, good)}, 1, ErrUnavailable},
		"one failed":          {3, []string{answer(3, `{"ciphertext":"vault:v4:AAAA","error":"no"}`)}, 1, ErrUnsealable},
		"one is none":         {3, []string{answer(3, `{"ciphertext":""}`)}, 1, ErrUnsealable},
		"nothing opens":       {3, []string{"400"}, 1, ErrUnsealable},
		"refused":             {3, []string{refused}, 1, ErrUnavailable},
		"no JSON":             {3, []string{"<html>"}, 1, ErrUnavailable},
		"refused in a second": {maxBatch + 1, []string{answer(maxBatch, good), refused}, 2, ErrUnavailable},
	} {
		s := newScript(t, map[string][]string{rewrap: f.answers})
		var blobs []Bound
		for range f.blobs {
			blobs = append(blobs, validBlob)
		}
		all, err := s.Rewrap(t.Context(), "acme", blobs)
		if calls := s.did(); !errors.Is(err, f.want) || len(calls) != f.calls || err == nil && len(all) != f.blobs || err != nil && f.want == nil {
			t.Errorf("%s: %d ciphertexts and %v after %d calls", name, len(all), err, len(calls))
		}
		for _, sealed := range all {
			if err == nil && (sealed != Sealed{Keyring: "vault", Blob: "vault:v4:AAAA", KeyVersion: 4}) {
				t.Errorf("%s: %+v", name, sealed)
			}
		}
	}
	s := newScript(t, nil)
	if _, err := s.Rewrap(t.Context(), "acme", []Bound{{Context: testContext, Blob: "vault:v1:AAAA", Key: "ownkey-a1.acme"}}); !errors.Is(err, ErrUnsealable) || len(s.did()) != 0 {
		t.Errorf("another key's: %v", err)
	}
}

// TestVersionsOfAKey: the newest one, the next one, and the oldest that still
// opens, which never goes back.
func TestVersionsOfAKey(t *testing.T) {
	for answer, want := range map[string]int{fitKey: 3, "404": 0} {
		if n, err := newScript(t, map[string][]string{getKey: {answer}}).Newest(t.Context(), "acme"); n != want || err != nil {
			t.Errorf("newest of %s: %d, %v", answer, n, err)
		}
	}
	for name, f := range map[string]struct {
		answers map[string][]string
		ok      bool
		calls   []string
	}{
		"rotated":         {map[string][]string{getKey: {fitKey}, rotate: {done}}, true, []string{getKey, rotate, getKey}},
		"not rotated":     {map[string][]string{getKey: {fitKey}, rotate: {refused}}, false, []string{getKey, rotate}},
		"not looked at":   {map[string][]string{getKey: {refused}, rotate: {done}}, false, []string{getKey}},
		"newest not read": {map[string][]string{getKey: {fitKey, refused}, rotate: {done}}, false, []string{getKey, rotate, getKey}},
	} {
		s := newScript(t, f.answers)
		n, err := s.Rotate(t.Context(), "acme")
		if calls := s.did(); f.ok != (err == nil) || f.ok != (n == 3) || !f.ok && !errors.Is(err, ErrUnavailable) || !slices.Equal(calls, f.calls) {
			t.Errorf("%s: %d, %v after %v", name, n, err, calls)
		}
	}
	for oldest, calls := range map[int][]string{1: {getKey}, 2: {getKey}, 3: {getKey, config}} {
		s := newScript(t, map[string][]string{getKey: {fitKey}, config: {done}})
		if err := s.Retire(t.Context(), "acme", oldest); err != nil || !slices.Equal(s.did(), calls) {
			t.Errorf("retired below %d: %v", oldest, err)
		}
		if last := s.bodies[len(s.bodies)-1]; oldest == 3 && strings.TrimSpace(last) != `{"min_decryption_version":3}` {
			t.Errorf("it says %s", last)
		}
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := newScript(t, nil).Newest(gone, "acme"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without an answer: %v", err)
	}
	s := newScript(t, map[string][]string{getKey: {refused}, config: {done}})
	if err := s.Retire(t.Context(), "acme", 3); !errors.Is(err, ErrUnavailable) || !slices.Equal(s.did(), []string{getKey}) {
		t.Errorf("a key that cannot be read: %v", err)
	}
}

// TestKeysAreDestroyed: of what is there, all; and a step that fails is told.
func TestKeysAreDestroyed(t *testing.T) {
	for name, f := range map[string]struct {
		answers map[string][]string
		keys    []string
		want    error
		calls   []string
	}{
		"no names":       {nil, nil, nil, nil},
		"one":            {map[string][]string{getKey: {fitKey}, config: {done}, dropKey: {done}}, []string{""}, nil, []string{getKey, config, dropKey}},
		"it is gone":     {map[string][]string{getKey: {"404"}}, []string{""}, nil, []string{getKey}},
		"two":            {map[string][]string{getKey: {"404"}}, []string{"", ""}, nil, []string{getKey, getKey}},
		"not read":       {map[string][]string{getKey: {refused}}, []string{"", ""}, ErrUnavailable, []string{getKey}},
		"not prepared":   {map[string][]string{getKey: {fitKey}, config: {refused}}, []string{""}, ErrUnavailable, []string{getKey, config}},
		"not deleted":    {map[string][]string{getKey: {fitKey}, config: {done}, dropKey: {refused}}, []string{""}, ErrUnavailable, []string{getKey, config, dropKey}},
		"somebody's own": {nil, []string{"ownkey-a1.other"}, ErrUnsealable, nil},
	} {
		s := newScript(t, f.answers)
		err := s.Destroy(t.Context(), "acme", f.keys...)
		if calls := s.did(); !errors.Is(err, f.want) || f.want == nil && err != nil || !slices.Equal(calls, f.calls) {
			t.Errorf("%s: %v after %v", name, err, calls)
		}
	}
}

// TestMACOfVault: 32 bytes, or an error.
func TestMACOfVault(t *testing.T) {
	for _, f := range []struct {
		answer string
		ok     bool
	}{{goodMAC(32), true}, {goodMAC(31), false}, {goodMAC(33), false}, {goodMAC(0), false}, {`{"data":{"hmac":"vault:v1:?"}}`, false}, {refused, false}} {
		s := newScript(t, map[string][]string{macOfFP: {f.answer}})
		mac, err := s.MAC(t.Context(), "backup", []byte("text"))
		if f.ok != (err == nil) || f.ok && !bytes.Equal(mac, bytes.Repeat([]byte{0xab}, 32)) || !f.ok && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %x, %v", f.answer, mac, err)
		}
	}
}

// TestLocalRewrapTakesAllOrNone: each blob opens and is sealed anew, or there is an
// error and nothing to store.
func TestLocalRewrapTakesAllOrNone(t *testing.T) {
	l, _ := newLocal(t)
	good := Bound{Context: testContext, Blob: seal(t, l, testContext, "sk-test").Blob}
	all, err := l.Rewrap(t.Context(), "acme", []Bound{good, good})
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, sealed := range all {
		if sealed.Fingerprint != "" || sealed.Blob == good.Blob || opened(t, l, testContext, sealed.Blob) != "sk-test" {
			t.Errorf("%+v", sealed)
		}
	}
	bad := good
	bad.Context.Tenant = "another"
	if all, err := l.Rewrap(t.Context(), "acme", []Bound{good, bad}); !errors.Is(err, ErrUnsealable) || all != nil {
		t.Errorf("%s", fmt.Sprint(all, err))
	}
}
