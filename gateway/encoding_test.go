package gateway_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func compressed(t *testing.T, encoding, text string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip", "x-gzip", "GZIP":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "zstd":
		w, _ = zstd.NewWriter(&out)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

// TestCompressedBodies are read within the limits of plain ones, forwarded as
// they came where nothing is changed, and else as the JSON that they hold.
func TestCompressedBodies(t *testing.T) {
	type call struct{ encoding, body string }
	var got call
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = call{r.Header.Get("Content-Encoding"), string(b)}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer provider.Close()
	h := newHouse(t, func(o *options) { o.provider, o.maxBody = provider.URL+"/v1", 1<<20 })
	plain := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("hello ", 2000) + `"}]}`
	for _, encoding := range []string{"gzip", "x-gzip", "GZIP", "deflate", "zstd"} {
		sent := compressed(t, encoding, plain)
		if a := h.do("POST", "/v1/chat/completions", sent, "Content-Encoding", encoding); a.status != 200 || got != (call{encoding, sent}) {
			t.Errorf("%s: %d %s; the provider got %s, %d bytes of %d", encoding, a.status, a.body, got.encoding, len(got.body), len(sent))
		}
		sent = compressed(t, encoding, strings.Replace(plain, `"m"`, `"second/m"`, 1))
		if a := h.do("POST", "/v1/chat/completions", sent, "Content-Encoding", encoding); a.status != 200 || got != (call{"", plain}) {
			t.Errorf("%s with an edit: %d %s; the provider got %q, %.60q", encoding, a.status, a.body, got.encoding, got.body)
		}
		bomb := compressed(t, encoding, `{"model":"m","x":"`+strings.Repeat("0", 8<<20)+`"}`)
		for name, x := range map[string]struct {
			body string
			want int
		}{
			"bomb": {bomb, 413}, "cut": {sent[:len(sent)-9], 400}, "garbage": {"garbage that is no archive", 400},
			"no JSON": {compressed(t, encoding, "hello"), 400}, "a forbidden spelling": {compressed(t, encoding, `{"model":"m","Model":"n"}`), 400},
		} {
			if a := h.do("POST", "/v1/chat/completions", x.body, "Content-Encoding", encoding); a.status != x.want {
				t.Errorf("%s, %s: %d %s", encoding, name, a.status, a.body)
			}
		}
	}
	for _, encoding := range []string{"br", "gzip, gzip", "compress", "nonsense"} {
		if a := h.do("POST", "/v1/chat/completions", plain, "Content-Encoding", encoding); a.code() != "invalid_request" || !strings.Contains(a.body, "Content-Encoding") {
			t.Errorf("%s: %d %s", encoding, a.status, a.body)
		}
	}
	if a := h.do("POST", "/v1/chat/completions", plain, "Content-Encoding", "identity"); a.status != 200 || got.body != plain {
		t.Errorf("identity: %d", a.status)
	}
	if held := h.gateway.HeldBytes(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// TestLargeJSON: what providers take in one call, images in it, fits.
func TestLargeJSON(t *testing.T) {
	h := newHouse(t, func(o *options) { o.maxBody, o.limits.FirstByte = 64<<20, time.Minute }) // the fake provider is slow at reading so much
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 45<<20) + `"}]}`
	if a := h.do("POST", "/v1/chat/completions", body); a.status != 200 {
		t.Errorf("45 MB: %d %.200s", a.status, a.body)
	}
	if held := h.gateway.HeldBytes(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// TestCharsets: a body whose charset is not read as we read it could name another
// model than the one that was judged.
func TestCharsets(t *testing.T) {
	h := newHouse(t)
	for kind, taken := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, `application/json;charset="UTF-8"; x=y`: true, "application/json; charset=ISO-8859-1": true,
		"application/json; charset=utf-8, application/json": true, "charset=utf-7": true, // no parameter
		"application/json; charset=utf-7": false, "application/json;Charset = UTF-7": false, "application/json; charset=utf-8; charset=utf-7": false,
		"application/json; charset=unicode_escape": false, "application/json; charset*=utf-7": false, "text/plain; charset=utf-16": false, "application/json; charset=": false,
	} {
		before := len(h.provider.Requests())
		a := h.do("POST", "/v1/chat/completions", chatBody("gpt-4o-mini", false), "Content-Type", kind)
		if reached := len(h.provider.Requests()) > before; reached != taken || !taken && (a.status != 400 || a.code() != "invalid_request" || !strings.Contains(a.body, "charset")) {
			t.Errorf("%s: reached the provider: %v, %d %s", kind, reached, a.status, a.body)
		}
	}
}
