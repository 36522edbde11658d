package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
)

// rawProvider serves each connection with a function, which gets the request's
// headers; it gives a base URL.
func rawProvider(t *testing.T, wrap func(net.Listener) net.Listener, serve func(c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if wrap != nil {
		l = wrap(l)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/v1"
}

// says answers every request with the same bytes and closes the connection.
func says(response string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if q, err := http.ReadRequest(r); err == nil {
			_, _ = io.Copy(io.Discard, q.Body)
		}
		_, _ = io.WriteString(c, response)
	}
}

// resets reads a request and resets its connection after a while.
func resets(after time.Duration) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		says("")(c, r)
		time.Sleep(after)
		_ = c.(*net.TCPConn).SetLinger(0)
	}
}

// TestResponseThatEndsWithItsConnection: nobody said how long it would be, so
// only its text shows whether it was cut.
func TestResponseThatEndsWithItsConnection(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n"
	const sse, delta = "text/event-stream", "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n"
	for _, x := range []struct {
		name, kind, body string
		whole            bool
	}{
		{"an object", "application/json", `{"id":"x","choices":[]}`, true},
		{"an object and a line feed", "application/json", "{\"id\":\"x\"}\n", true},
		{"an array", "application/json; charset=utf-8", `[1,2]`, true},
		{"a number", "application/json", `12`, true},
		{"nothing", "application/json", ``, true}, // no text says that there should be any
		{"what is not JSON", "application/json", `<html>`, true},
		{"a text", "text/plain", `{"id":`, true},
		{"cut behind a brace", "application/json", `{`, false},
		{"cut in a string", "application/json", `{"id":"x`, false},
		{"cut behind a value", "application/json", `{"id":"x","choices":[{"a":1}`, false},
		{"cut in an array", "application/problem+json", `[1,`, false},
		{"cut in a literal", "application/json", `tru`, false},
		{"a stream", sse, delta + "data: [DONE]\n\n", true},
		{"a stream without its last event", sse, delta, false},
		{"a stream cut in an event", sse, delta + "data: {\"id\"", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			url := rawProvider(t, nil, says(fmt.Sprintf(head, x.kind)+x.body))
			h := newHouse(t, func(o *options) { o.provider = url })
			a := h.do("POST", "/v1/chat/completions", chatBody("m", x.kind == sse))
			if a.status != 200 || !strings.HasPrefix(a.body, x.body) || (a.err == nil) != x.whole {
				t.Errorf("%d %q %v", a.status, a.body, a.err)
			}
			r := h.records(1)[0]
			want, cause := "completed", any(nil)
			if !x.whole {
				want, cause = "upstream_truncated", "truncated"
			}
			if r["outcome"] != want || x.whole && r["error_cause"] != "none" || !x.whole && r["error_cause"] != cause {
				t.Errorf("record %v", r)
			}
		})
	}
}

// TestBrokenStreamIsRetriedByAgents: the words that agents look for, which
// repeat a call when its connection breaks.
func TestBrokenStreamIsRetriedByAgents(t *testing.T) {
	h := newHouse(t, func(o *options) { o.limits.Idle = 200 * time.Millisecond })
	for _, model := range []string{"fake:chunks=10,cut-after=3", "fake:chunks=10,stall-after=3"} {
		for _, path := range []string{"/v1/chat/completions", "/v1/responses", "/main/v1/messages"} {
			a := h.do("POST", path, chatBody(model, true), versionOf(path)...)
			last := a.body[strings.LastIndex(a.body, "data: "):]
			if a.err == nil || !strings.Contains(last, `"message":"connection error (premature close): `) {
				t.Errorf("%s %s: %v, %q", model, path, a.err, last)
			}
		}
	}
}

// TestEarlyResponseReachesTheUploader: the provider answers by the headers, and
// neither reads nor closes.
func TestEarlyResponseReachesTheUploader(t *testing.T) {
	over := make(chan struct{})
	left := make(chan struct{}, 8)
	url := rawProvider(t, nil, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		<-over
		_, _ = io.Copy(io.Discard, r)
		left <- struct{}{}
	})
	h := newHouse(t, func(o *options) { o.provider = url })
	silence, speak := io.Pipe() // a client that sends nothing for long
	defer speak.Close()
	n := 0
	for name, body := range map[string]io.Reader{
		"a large body":           bytes.NewReader(make([]byte, 24<<20)),
		"a large chunked body":   struct{ io.Reader }{bytes.NewReader(make([]byte, 24<<20))},
		"a client that is quiet": io.MultiReader(strings.NewReader("the beginning"), silence),
	} {
		request, _ := http.NewRequest(http.MethodPost, "http://"+h.addr+"/v1/files", body)
		request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		request.Header.Set("Authorization", "Bearer "+h.token)
		began := time.Now()
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if response.StatusCode != 413 || time.Since(began) > 4*time.Second { // a client's silence may last five
			t.Errorf("%s: %d after %v", name, response.StatusCode, time.Since(began))
		}
		_ = response.Body.Close()
		n++
		if r := h.records(n)[n-1]; r["outcome"] != "completed" || r["status"] != 413.0 {
			t.Errorf("%s: record %v", name, r)
		}
	}
	close(over)
	for range n {
		select {
		case <-left:
		case <-time.After(5 * time.Second):
			t.Fatal("the provider's connection stays open")
		}
	}
	if idle := h.client.Idle(); idle != 0 {
		t.Errorf("%d connections with half a request were kept", idle)
	}
}

// TestWhyAProviderGivesNoResponse: each cause in the record, the log and the
// metric, and whether clients may repeat the call.
func TestWhyAProviderGivesNoResponse(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	lender.Close()
	pair := lender.TLS.Certificates[0]
	over := func(c *tls.Config) func(net.Listener) net.Listener {
		c.Certificates = []tls.Certificate{pair}
		return func(l net.Listener) net.Listener { return tls.NewListener(l, c) }
	}
	ok := says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	https := func(url string) string { return strings.Replace(url, "http://", "https://", 1) }
	for _, x := range []struct {
		cause, url, code, retry string
		status                  int
	}{
		{"refused", "http://" + closed.Addr().String() + "/v1", "upstream_unreachable", "true", 502},
		{"dns", "http://no-such-host.invalid/v1", "upstream_unreachable", "true", 502},
		{"tls_handshake", https(rawProvider(t, nil, ok)), "upstream_unreachable", "true", 502},
		{"tls_certificate", https(rawProvider(t, over(&tls.Config{}), ok)), "upstream_unreachable", "", 502},
		{"alpn", https(rawProvider(t, over(&tls.Config{NextProtos: []string{"not-http"}}), ok)), "upstream_unreachable", "", 502},
		{"alpn", rawProvider(t, nil, says("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")), "upstream_unreachable", "false", 502},
		{"closed", rawProvider(t, nil, says("")), "upstream_unreachable", "false", 502},
		{"reset", rawProvider(t, nil, resets(0)), "upstream_unreachable", "true", 502}, // too soon to have done anything
		{"reset", rawProvider(t, nil, resets(100*time.Millisecond)), "upstream_unreachable", "false", 502},
		{"bad_response", rawProvider(t, nil, says("SSH-2.0-OpenSSH_9.2\r\n\r\n")), "upstream_invalid", "false", 502},
		{"bad_response", rawProvider(t, nil, says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")), "upstream_invalid", "false", 502},
		{"first_byte_timeout", rawProvider(t, nil, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }), "upstream_timeout", "false", 504},
		{"timeout", https(rawProvider(t, nil, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })), "upstream_timeout", "", 504},
	} {
		t.Run(x.cause, func(t *testing.T) {
			h := newHouse(t, func(o *options) {
				o.provider = x.url
				o.limits = upstream.Limits{Connect: time.Minute, FirstByte: time.Minute, Idle: time.Minute}
				switch x.cause {
				case "timeout":
					o.limits.Connect = time.Second
				case "first_byte_timeout":
					o.limits.FirstByte = 300 * time.Millisecond
				}
			})
			for range 2 { // the second has no line of its own
				a := h.chat("m")
				if a.status != x.status || a.code() != x.code || a.header.Get("X-Should-Retry") != x.retry {
					t.Errorf("%d %q %q", a.status, a.body, a.header.Get("X-Should-Retry"))
				}
			}
			if r := h.records(2)[0]; r["error_cause"] != x.cause || r["error_code"] != x.code {
				t.Errorf("record %v", r)
			}
			if log := h.logText(); strings.Count(log, `"provider gave no whole response"`) != 1 || !strings.Contains(log, `"cause":"`+x.cause+`"`) {
				t.Errorf("log %q", log)
			}
			if counted := `ownkey_upstream_failures_total{cause="` + x.cause + `",provider="main"} 2`; !strings.Contains(h.metricsText(), counted) {
				t.Errorf("not in the metrics: %s", counted)
			}
		})
	}
}

// TestCausesHaveOneList: the words of a record are those of the package that
// finds them.
func TestCausesHaveOneList(t *testing.T) {
	if !slices.Equal(meter.ErrorCauseNames, upstream.CauseNames) {
		t.Errorf("meter has %q, upstream %q", meter.ErrorCauseNames, upstream.CauseNames)
	}
	if upstream.CauseOf(errors.New("of nobody")) != 0 || meter.ErrorCause(0).String() != "none" {
		t.Error("no cause is not the first")
	}
}
