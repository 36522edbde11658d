package gateway

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// FuzzBearer: whatever headers come, what is presented stands in one of them; a
// token of ours in Authorization is found, and a placeholder there does not hide
// the one in X-Api-Key.
func FuzzBearer(f *testing.F) {
	for _, a := range []string{"", "Bearer ok_x", "bearer  ok_x ", "BEARER\tok_x", "Bearer sk-none", "Bearer ", "Basic ok_x", "Bearer ok_a,ok_b", "\xffBearer ok_x"} {
		f.Add(a, "ok_key")
		f.Add(a, "")
	}
	f.Fuzz(func(t *testing.T, authorization, key string) {
		if strings.ContainsAny(authorization+key, "\r\n\x00") {
			return
		}
		var h fasthttp.RequestHeader
		head := "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: " + authorization + "\r\nX-Api-Key: " + key + "\r\n\r\n"
		if h.Read(bufio.NewReader(strings.NewReader(head))) != nil {
			return
		}
		got := string(bearer(&h))
		scheme, token, _ := strings.Cut(strings.Trim(authorization, " \t"), " ")
		want := string(h.Peek("X-Api-Key"))
		if token = strings.TrimSpace(token); strings.EqualFold(scheme, "bearer") && strings.HasPrefix(token, "ok_") {
			want = token
		}
		if got != want {
			t.Fatalf("%q and %q present %q, want %q", authorization, key, got, want)
		}
	})
}

// FuzzIdentifier: what a record keeps of a foreign name is the whole of it, and
// needs no escape in JSON, in a header or in a terminal; or it is nothing.
func FuzzIdentifier(f *testing.F) {
	for _, s := range []string{"", "gpt-4o", "accounts/x/models/y@1:z+w_", "a b", "a\n", "é", "\xff", "\x00", "${a}", strings.Repeat("x", 128), strings.Repeat("x", 129)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := identifier(b)
		plain := len(b) <= maxIdentifierBytes && strings.Trim(string(b), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-") == ""
		for _, c := range b {
			plain = plain && identifierByte(c)
		}
		if plain && got != string(b) || !plain && got != "" {
			t.Fatalf("%q is kept as %q", b, got)
		}
	})
}

// FuzzCopyAnswerHeader: of whatever head a provider sends, only lines of the
// allow-list reach the client, none of them holds the credential, and the head
// that we make of them is read as one head with one body behind it.
func FuzzCopyAnswerHeader(f *testing.F) {
	const secret = "sk-secret"
	for _, s := range []string{
		"Content-Type: text/event-stream\r\nX-Request-Id: r\r\nSet-Cookie: a=b\r\nServer: x\r\n",
		"content-type: " + secret + "\r\nx-request-id: " + secret + "\r\nOpenai-Model: a" + secret + "b\r\n",
		"Openai-A: 1\r\nopenai-a: 2\r\nOPENAI-:\r\nAnthropic-X: \x01\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nOpenai-X: a\n b\r\n",
		"X-Ratelimit-Remaining:   7  \r\nOwnkey-Memory: hit\r\nRetry-After: 1\r\nContent-Encoding: gzip\r\nTrailer: Openai-X\r\n",
		"Openai-\r: x\r\nOpenai-a b: x\r\nOpenai-\xff: \xff\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		var from, to, got fasthttp.ResponseHeader
		from.SetNoDefaultContentType(true)
		if from.Read(bufio.NewReaderSize(bytes.NewReader(append(append([]byte("HTTP/1.1 200 OK\r\n"), lines...), "\r\n"...)), 64<<10)) != nil {
			return
		}
		to.SetNoDefaultContentType(true)
		copyAnswerHeader(&to, &from, commonResponseHeaders, func(value []byte) bool { return bytes.Contains(value, []byte(secret)) })
		to.SetContentLength(2)
		sent := bytes.Clone(to.Header())
		r := bufio.NewReaderSize(bytes.NewReader(append(sent, "ok"...)), 128<<10)
		got.SetNoDefaultContentType(true)
		if err := got.Read(r); err != nil {
			t.Fatalf("%q became %q: %v", lines, sent, err)
		}
		if rest, _ := r.Peek(r.Buffered()); string(rest) != "ok" || got.ContentLength() != 2 {
			t.Fatalf("%q became %q, with %q behind it", lines, sent, rest)
		}
		if bytes.Contains(sent, []byte(secret)) {
			t.Fatalf("%q became %q", lines, sent)
		}
		for name, value := range got.All() {
			switch {
			case slices.Contains([]string{fasthttp.HeaderContentType, fasthttp.HeaderContentLength, fasthttp.HeaderDate}, string(name)):
			case !commonResponseHeaders.has(name):
				t.Fatalf("%q became %q", lines, sent)
			case !bytes.Equal(value, from.PeekBytes(name)) && len(from.PeekAll(string(name))) < 2:
				t.Fatalf("%s is %q, was %q", name, value, from.PeekBytes(name))
			}
		}
	})
}
