package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that sends its body a byte at a time does not hold its place, be the
// body held or passed on.
func TestSlowBodiesEnd(t *testing.T) {
	h := newHouse(t, func(o *options) { o.timeouts.ClientSilence = 500 * time.Millisecond })
	f := func(name, path, contentType string) {
		t.Helper()
		c, r := h.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n%s", path, h.token, contentType, strings.Repeat(" ", 8000)))
		began := time.Now()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for range 200 {
				if _, err := c.Write([]byte{' '}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond) // well within the limit of silence
			}
		}()
		response, err := http.ReadResponse(r, nil)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: held for %s", name, took)
		}
		if err == nil && response.StatusCode != 400 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
		_ = c.Close()
		<-gone
	}
	f("held", "/v1/chat/completions", "application/json")
	f("passed on", "/v1/files", "application/octet-stream")
	h.eventually("no place is taken", func() bool { return h.limiter.InFlight() == 0 })
	if a := h.chat("gpt-4o-mini"); a.status != 200 {
		t.Errorf("another client: %d", a.status)
	}
}

// A client that does not read its answer does not hold it, nor the provider's
// connection.
func TestSlowReadersEnd(t *testing.T) {
	h := newHouse(t, func(o *options) { o.timeouts.ClientWrite = 500 * time.Millisecond })
	c, _ := h.dial(h.raw("/v1/chat/completions", `{"model":"fake:chunks=200000","stream":true,"messages":[]}`))
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	h.eventually("the call is in flight", func() bool { return h.limiter.InFlight() == 1 })
	h.eventually("the call has ended", func() bool { return h.limiter.InFlight() == 0 })
	if got := h.records(1)[0]["outcome"]; got != "client_cancelled" {
		t.Errorf("outcome %v", got)
	}
}

// A client that half-closes its connection has left: nobody can tell it from
// one that will read no answer, and the answer costs its tenant money.
func TestHalfClosedIsGone(t *testing.T) {
	h := newHouse(t)
	c, _ := h.dial(h.raw("/v1/chat/completions", `{"model":"fake:stall","messages":[]}`))
	h.eventually("the call is in flight", func() bool { return h.limiter.InFlight() == 1 })
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	h.eventually("the call has ended", func() bool { return h.limiter.InFlight() == 0 })
}

// No page of another site may call us from a browser, and nothing that a client
// sends becomes a header of an answer or of a call.
func TestNothingIsAllowedByHeaders(t *testing.T) {
	h := newHouse(t)
	for _, method := range []string{"OPTIONS", "GET"} {
		a := h.do(method, "/v1/models", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %s", method, name, a.header.Get(name))
			}
		}
	}
	for _, path := range []string{"/v1/models?a=%0d%0aX-Injected:%20b", "/v1/models%0d%0aX-Injected:%20b"} {
		if a := h.do("GET", path, "", "X-Client-Request-Id", "a\tb"); a.header.Get("X-Injected") != "" {
			t.Errorf("%s became a header", path)
		}
	}
	c, r := h.dial("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + h.token + "\r\nX-Client-Request-Id: a\rX-Injected: b\r\n\r\n")
	if response, err := http.ReadResponse(r, nil); err == nil && response.StatusCode != 400 {
		t.Errorf("a bare CR in a value: %d", response.StatusCode)
	}
	_, _ = io.Copy(io.Discard, c)
	for _, got := range h.provider.Requests() {
		if got.Header.Get("X-Injected") != "" {
			t.Error("a header was injected into a call")
		}
	}
}
