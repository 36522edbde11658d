//go:build !race

package gateway

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
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
