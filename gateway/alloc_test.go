//go:build !race

package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// TestAllocsPerRelayedChunk: what is done for each chunk of a stream, from the
// provider's socket to the client's writer, does not allocate.
func TestAllocsPerRelayedChunk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		chunk := []byte("41\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"hello, hello, hello\"}}]}\n\n\r\n")
		for err == nil {
			_, err = c.Write(chunk)
		}
	}()
	client := upstream.NewClient()
	defer client.Close()
	r := &request{ctx: &fasthttp.RequestCtx{}, g: &Gateway{timeouts: Timeouts{ClientWrite: time.Minute}}}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	r.ctx.Init2(here, nil, false)
	r.relay.r, r.relay.sse = r, true
	r.scanner.Reset(wire.DialectChat, wire.FormatSSE)
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	r.attempt.Begin(client.NewTarget(base, nil, nil, upstream.Limits{Connect: time.Second, FirstByte: time.Second, Idle: time.Second}), time.Now())
	defer func() { r.attempt.End(time.Now()) }()
	if err := r.attempt.Send(&upstream.Request{Method: []byte("GET"), Path: []byte("/")}); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(io.Discard)
	if n := testing.AllocsPerRun(2000, func() {
		if _, err := r.relay.pass(out); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per chunk, want 0", n)
	}
	if r.scanner.Events() < 2000 {
		t.Errorf("only %d events were relayed", r.scanner.Events())
	}
}

// TestAllocsPerCountedRequest: the metrics of a request whose labels were seen
// before cost no allocation.
func TestAllocsPerCountedRequest(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	r := countedRecord()
	m.ended(r)
	if n := testing.AllocsPerRun(1000, func() { m.ended(r) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// TestAllocsPerHeader: neither direction's list allocates, be a name one of its
// own, of a family, or of none.
func TestAllocsPerHeader(t *testing.T) {
	h, from, to := headersOfACall(t)
	requests, responses := RequestHeaders([]string{"x-codex-*", "x-team", "x-acme-header-of-the-table-with-a-long-name"}), ResponseHeaders([]string{"x-codex-*", "x-served-by"})
	lines, holds := make([]byte, 0, 4096), func([]byte) bool { return false }
	if n := testing.AllocsPerRun(1000, func() {
		lines = appendRequestHeader(lines[:0], h, requests, true)
		copyAnswerHeader(to, from, responses, holds)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if !bytes.Contains(lines, []byte("X-Codex-Turn-State: t")) || len(to.Peek("X-Codex-Turn-State")) == 0 || bytes.Contains(lines, []byte("X-Other")) {
		t.Errorf("%s%s", lines, to)
	}
}

func headersOfACall(t testing.TB) (request *fasthttp.RequestHeader, from, to *fasthttp.ResponseHeader) {
	t.Helper()
	request, from, to = &fasthttp.RequestHeader{}, &fasthttp.ResponseHeader{}, &fasthttp.ResponseHeader{}
	const more = "X-Codex-Turn-State: t\r\nX-Other-Header-Of-Nobody-Which-Has-A-Long-Name: x\r\nX-Acme-Header-Of-The-Table-With-A-Long-Name: x\r\nX-Request-Id: r\r\nX-Stainless-Lang: go\r\nX-Stainless-Os: l\r\nX-Stainless-Retry-Count: 0\r\nUser-Agent: u\r\nOpenai-Processing-Ms: 1\r\nX-Team: t\r\n\r\n"
	if err := request.Read(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\n" + more))); err != nil {
		t.Fatal(err)
	}
	if err := from.Read(bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + more))); err != nil {
		t.Fatal(err)
	}
	return request, from, to
}

// BenchmarkHeaders is what the lists of both directions cost a call.
func BenchmarkHeaders(b *testing.B) {
	h, from, to := headersOfACall(b)
	requests, responses := RequestHeaders([]string{"x-codex-*", "x-team", "x-acme-header-of-the-table-with-a-long-name"}), ResponseHeaders([]string{"x-codex-*", "x-served-by"})
	lines, holds := make([]byte, 0, 4096), func([]byte) bool { return false }
	for b.Loop() {
		lines = appendRequestHeader(lines[:0], h, requests, true)
		copyAnswerHeader(to, from, responses, holds)
	}
}

func countedRecord() *meter.Record {
	return &meter.Record{
		Provider: "openai", Endpoint: "chat_completions", Outcome: meter.OutcomeCompleted, Status: 200, Attempt: 1,
		TotalTime: 1200 * time.Millisecond, FirstByteTime: 300 * time.Millisecond, AuthTime: 2 * time.Microsecond,
	}
}

// BenchmarkCountedRequest is what all metrics of a request cost, on all
// processors at once.
func BenchmarkCountedRequest(b *testing.B) {
	m := newMetrics(prometheus.NewRegistry())
	r := countedRecord()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.ended(r)
		}
	})
}
