package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// newAudioHouse has a provider that transcribes: it reports a thousand tokens for
// each upload, and streams, and goes on with it, when the form asks for it.
func newAudioHouse(t *testing.T) *house {
	t.Helper()
	ends := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Query().Has("stream") || strings.Contains(string(body), "stream") {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, `data: {"type":"transcript.text.delta","delta":"hello"}`+"\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-ends:
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"text":"hello","usage":{"type":"tokens","input_tokens":900,"output_tokens":100,"total_tokens":1000}}`)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ends) })
	return newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
}

// TestUploadsOweTokens: what uploads have used beyond tokens_per_minute is owed by
// the next upload, too, although nobody can say before what it will use.
func TestUploadsOweTokens(t *testing.T) {
	for name, token := range map[string]directory.NewToken{"any model": {}, "a list of models": {Models: []string{"whisper-1"}}} {
		h := newAudioHouse(t)
		token.Limits = directory.Limits{TokensPerMinute: 1500}
		h.token = h.mint("acme", token)
		for n, status := range []int{200, 200, 429} {
			a := h.do("POST", "/v1/audio/transcriptions", formOf(100, "whisper-1"), "Content-Type", "multipart/form-data; boundary=x")
			if a.status != status {
				t.Errorf("%s: upload %d of 1,000 tokens at 1,500 a minute: %d %s, want %d", name, n+1, a.status, a.body, status)
			}
		}
	}
}

// TestStreamsThatNobodyAskedForInJSON are bounded as others are: those that a form
// or a query asks for, and those that a provider sends unasked.
func TestStreamsThatNobodyAskedForInJSON(t *testing.T) {
	h := newAudioHouse(t)
	h.token = h.mint("acme", directory.NewToken{Limits: directory.Limits{Streams: 1}})
	open := func(method, target, kind, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), method, "http://"+h.addr+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+h.token)
		r.Header.Set("Content-Type", kind)
		got, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = got.Body.Close() })
		return got
	}
	const form = "multipart/form-data; boundary=x"
	first := open("POST", "/v1/audio/transcriptions", form, formOf(100, "stream"))
	if first.StatusCode != 200 {
		t.Fatal(first.Status)
	}
	for _, f := range [][4]string{
		{"POST", "/v1/audio/transcriptions", form, formOf(100, "stream")},
		{"GET", "/v1/responses/resp_1?stream=true", "", ""},
		{"POST", "/v1/images/generations", "application/json", `{"stream":false,"prompt":"a stream"}`},
		{"POST", "/v1/chat/completions", "application/json", `{"stream":true,"messages":[]}`},
	} {
		got := open(f[0], f[1], f[2], f[3])
		if got.StatusCode != 429 || got.Header.Get("Ownkey-Error") != "too_many_requests_in_flight" || !strings.HasPrefix(got.Header.Get("Ownkey-Ratelimit"), "streams;scope=token;limit=1;remaining=0") {
			t.Errorf("%s %s beside an open stream: %s %v", f[0], f[1], got.Status, got.Header)
		}
	}
	_ = first.Body.Close()
	h.eventually("the place comes back", func() bool {
		got := open("GET", "/v1/responses/resp_1?stream=true", "", "")
		_ = got.Body.Close()
		return got.StatusCode == 200
	})
	h.eventually("no place is taken", func() bool { return h.limiter.InFlight() == 0 })
	if a := fmt.Sprint(h.records(6)); !strings.Contains(a, "too_many_requests_in_flight") {
		t.Error(a)
	}
}
