package front

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// room lends large heads their buffers.
type room struct{ left, taken atomic.Int64 }

func (r *room) Take(n int) bool {
	if r.left.Add(-int64(n)) < 0 {
		r.left.Add(int64(n))
		return false
	}
	r.taken.Add(1)
	return true
}

func (r *room) Give(n int) { r.left.Add(int64(n)) }

// echo answers with what it has read: the body, or the value of X-Large.
func echo(ctx *fasthttp.RequestCtx) {
	if s := ctx.RequestBodyStream(); s != nil {
		b, err := io.ReadAll(s)
		if err != nil {
			ctx.SetStatusCode(400)
			ctx.SetConnectionClose()
			return
		}
		ctx.SetBody(b)
		return
	}
	ctx.SetBodyString(fmt.Sprintf("%s %d %q", ctx.Request.Header.RequestURI(), len(ctx.Request.Header.Peek("X-Large")), ctx.Request.Header.Peek("Ownkey-Memory")))
}

// serve starts a server on l, or on a listener of its own.
func serve(t *testing.T, l net.Listener, change func(*Server)) (s *Server, address string) {
	t.Helper()
	r := &room{}
	r.left.Store(1 << 20)
	s = New(Options{
		Handler: echo, Large: r, MaxHeadBytes: 64 << 10,
		Unreadable:  func(ctx *fasthttp.RequestCtx, why error) { ctx.SetStatusCode(400); ctx.SetBodyString(why.Error()) },
		Trouble:     func(error, time.Duration) {},
		TurnedAway:  func() {},
		HeadTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
	})
	if change != nil {
		change(s)
	}
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

func dial(t *testing.T, address, raw string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// get reads a response, and gives its status and body.
func get(t *testing.T, r *bufio.Reader) (int, string) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(b)
}

// failing fails to accept with each of its errors first.
type failing struct {
	net.Listener
	errs []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

// TestAcceptGoesOn: what the kernel is short of, and what is wrong with one
// connection, end nothing. What is wrong with the listener does.
func TestAcceptGoesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN} {
		errs = append(errs, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", e)})
	}
	var told atomic.Int64
	_, address := serve(t, &failing{l, errs}, func(s *Server) {
		s.o.Trouble = func(err error, wait time.Duration) {
			if told.Add(1); wait <= 0 || wait > lastWait {
				t.Errorf("%v: waits %v", err, wait)
			}
		}
	})
	_, r := dial(t, address, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _ := get(t, r); status != 200 || told.Load() != int64(len(errs)) {
		t.Errorf("%d after %d of %d failures", status, told.Load(), len(errs))
	}

	l, _ = net.Listen("tcp", "127.0.0.1:0")
	defer l.Close()
	if err := New(Options{}).Serve(&failing{l, []error{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EBADF)}}}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a broken listener: %v", err)
	}
}

// TestOneReadingOfBodies: chunks and trailers that two servers could read
// differently end the connection; trailers that are well formed are dropped.
func TestOneReadingOfBodies(t *testing.T) {
	_, address := serve(t, nil, nil)
	const post = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Ownkey-Memory\r\n\r\n"
	next := "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, good := range []string{
		"2\r\n{}\r\n0\r\n\r\n", "0\r\n\r\n", "1\r\n{\r\n1\r\n}\r\n000\r\n\r\n", "2;signature=abc\r\n{}\r\n0;x\r\n\r\n", "2 \r\n{}\r\n0\r\n\r\n",
		"2\r\n{}\r\n0\r\nOwnkey-Memory: on\r\nAuthorization: Bearer x\r\nContent-Length: 7\r\nX-Sum:\r\n\r\n",
	} {
		_, r := dial(t, address, post+good+next)
		if status, body := get(t, r); status != 200 || strings.Trim(body, "{}") != "" {
			t.Errorf("%q: %d %q", good, status, body)
		}
		if status, body := get(t, r); status != 200 || body != `/next 0 ""` {
			t.Errorf("behind %q: %d %q", good, status, body)
		}
	}
	for _, bad := range []string{
		"2\n{}\r\n0\r\n\r\n", "2\r\n{}\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n", " 2\r\n{}\r\n0\r\n\r\n", "\r\n{}",
		"10000000000000002\r\n{}\r\n0\r\n\r\n", "2;a\rb\r\n{}\r\n0\r\n\r\n", "2;" + strings.Repeat("a", 2*maxChunkLine) + "\r\n{}\r\n0\r\n\r\n", "2_0\r\n{}\r\n0\r\n\r\n",
		"0\r\nX: y\n\r\n", "0\r\nX: y\r\n z\r\n\r\n", "0\r\nX: y\r\n\tz\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\n: y\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\nX: a\rb\r\n\r\n", "0\r\nX: \x00\r\n\r\n",
		"0\r\nX: y\r\n\n", "0\n\n", "0\r\n" + strings.Repeat("X: y\r\n", maxTrailerBytes) + "\r\n",
	} {
		_, r := dial(t, address, post+bad+next)
		if status, body := get(t, r); status != 400 {
			t.Errorf("%.60q: %d %q", bad, status, body)
		}
		if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
			t.Errorf("%.60q: the connection went on: %q %v", bad, b, err)
		}
	}
}

// TestTargets: a target in absolute form means its path; the authority before
// it is nobody else's.
func TestTargets(t *testing.T) {
	_, address := serve(t, nil, nil)
	for target, want := range map[string]string{
		"/v1/models?a=b": "/v1/models?a=b", "http://gateway.example/v1/models?a=b": "/v1/models?a=b", "HTTPS://x:8443/v1/models": "/v1/models",
		"http://x": "/", "http://x?a=b": "/?a=b", "http://127.0.0.1:1/http://y/": "/http://y/", "*": "*",
	} {
		_, r := dial(t, address, "OPTIONS "+target+" HTTP/1.1\r\nHost: other\r\n\r\n")
		if _, body := get(t, r); body != want+` 0 ""` {
			t.Errorf("%s is %s", target, body)
		}
	}
}

// TestLargeHeads: a head of up to MaxHeadBytes is read, however it arrives and
// whatever request of the connection it is; a small one borrows nothing; a
// larger one is refused, and so is one for which there is no room.
func TestLargeHeads(t *testing.T) {
	var r *room
	_, address := serve(t, nil, func(s *Server) { r = s.o.Large.(*room) })
	head := func(n int) string {
		return "GET /a HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("v", n) + "\r\n\r\n"
	}
	sizes := []int{100, 5000, 7000, 60_000, 100, 30_000}
	c, br := dial(t, address, "")
	for i, n := range sizes {
		for rest := head(n); rest != ""; {
			part := rest[:min(len(rest), 1+(i*4099+n)%9000)]
			rest = rest[len(part):]
			if _, err := io.WriteString(c, part); err != nil {
				t.Fatal(err)
			}
		}
		if status, body := get(t, br); status != 200 || body != fmt.Sprintf(`/a %d ""`, n) {
			t.Errorf("%d bytes: %d %s", n, status, body)
		}
	}
	if got := r.taken.Load(); got != 3 || r.left.Load() != 1<<20 {
		t.Errorf("%d large buffers for three large heads, %d bytes left", got, r.left.Load())
	}
	_, br = dial(t, address, head(7000)+head(100)+head(8000)) // pipelined
	for _, n := range []int{7000, 100, 8000} {
		if _, body := get(t, br); body != fmt.Sprintf(`/a %d ""`, n) {
			t.Errorf("pipelined %d bytes: %s", n, body)
		}
	}
	_, br = dial(t, address, head(70_000))
	if status, body := get(t, br); status != 400 || body != ErrHeadTooLarge.Error() {
		t.Errorf("too large: %d %s", status, body)
	}
	for began := time.Now(); r.left.Load() != 1<<20; time.Sleep(time.Millisecond) { // it gives its room back behind its answer
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d bytes left", r.left.Load())
		}
	}
	r.left.Store(100)
	_, br = dial(t, address, head(7000))
	if status, body := get(t, br); status != 400 || body != ErrNoRoom.Error() {
		t.Errorf("no room: %d %s", status, body)
	}
	_, br = dial(t, address, head(1000))
	if status, _ := get(t, br); status != 200 {
		t.Errorf("a small head without room for large ones: %d", status)
	}
	r.left.Store(1 << 20)
}

// TestRoomChangesHands: a large head counts in its caller's room once that is
// known, and is refused where that has none; a response that is held counts
// until it is written, and when it cannot be. Nothing is given back twice.
func TestRoomChangesHands(t *testing.T) {
	var heads *room
	caller := &room{}
	caller.left.Store(100 << 10)
	ready, read := make(chan struct{}), make(chan struct{})
	_, address := serve(t, nil, func(s *Server) {
		heads = s.o.Large.(*room)
		s.o.Handler = func(ctx *fasthttp.RequestCtx) {
			c := ctx.Conn().(*Conn)
			if !c.ChargeHead(caller) {
				ctx.SetStatusCode(429)
				return
			}
			if !caller.Take(20 << 10) {
				t.Error("no room for a response")
			}
			c.GiveWhenWritten(caller, 20<<10)
			ready <- struct{}{}
			<-read
			ctx.SetBodyString("held")
		}
	})
	want := func(when string, ofHeads, ofCaller int64) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); heads.left.Load() != ofHeads || caller.left.Load() != ofCaller; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d left for heads, %d for the caller", when, heads.left.Load(), caller.left.Load())
			}
		}
	}
	large := "GET /a HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("v", 10_000) + "\r\n\r\n"
	c, r := dial(t, address, large)
	<-ready
	want("in the handler", 1<<20, 16<<10)
	_, other := dial(t, address, large)
	if status, _ := get(t, other); status != 429 {
		t.Errorf("a caller without room: %d", status)
	}
	want("after a refusal", 1<<20, 16<<10)
	read <- struct{}{}
	if status, body := get(t, r); status != 200 || body != "held" {
		t.Errorf("%d %q", status, body)
	}
	want("when it is written", 1<<20, 100<<10)
	if _, err := io.WriteString(c, large); err != nil { // the same connection again
		t.Fatal(err)
	}
	<-ready
	want("the next request", 1<<20, 16<<10)
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	read <- struct{}{}
	want("when it cannot be written", 1<<20, 100<<10)
}

// TestLingeringIsBounded: a client that goes on sending behind a refusal is
// listened to for a time, a number of bytes and a silence, and then cut.
func TestLingeringIsBounded(t *testing.T) {
	for name, bound := range map[string]bounds{
		"time":    {200 * time.Millisecond, 5 * time.Second, 1 << 40},
		"silence": {5 * time.Second, 200 * time.Millisecond, 1 << 40},
		"bytes":   {5 * time.Second, 5 * time.Second, 1 << 20},
	} {
		s, address := serve(t, nil, func(s *Server) {
			s.linger = bound
			s.o.Handler = func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(401) }
		})
		c, r := dial(t, address, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
		if status, _ := get(t, r); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
		began := time.Now()
		block := make([]byte, 32<<10)
		for err := error(nil); err == nil && name != "silence"; {
			_, err = c.Write(block)
		}
		for end := time.Now().Add(4 * time.Second); s.Connections() > 0 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		if n := s.Connections(); n > 0 {
			t.Errorf("%s: still open after %v", name, time.Since(began))
		}
	}
}

// TestDropsShareAPace: what is dropped behind refusals is read at one pace for all
// connections, and none goes on while another one rests.
func TestDropsShareAPace(t *testing.T) {
	s, address := serve(t, nil, func(s *Server) {
		s.o.Handler = func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(401) }
	})
	s.drops.mu.Lock()
	c, r := dial(t, address, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
	if status, _ := get(t, r); status != 401 {
		t.Errorf("%d", status)
	}
	block, sent := make([]byte, 1<<20), 0
	for err := error(nil); err == nil; { // until the buffers of both sockets are full
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		var n int
		n, err = c.Write(block)
		sent += n
	}
	if sent >= 50<<20 {
		t.Errorf("%d bytes were taken while another connection rested", sent)
	}
	s.drops.mu.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Write(block); err != nil {
		t.Errorf("%d bytes went on behind it: %v", n, err)
	}
}

// TestOldClients: HTTP/1.0 gets no chunks and no 100 Continue.
func TestOldClients(t *testing.T) {
	_, address := serve(t, nil, func(s *Server) {
		s.o.Handler = func(ctx *fasthttp.RequestCtx) {
			ctx.Response.SetBodyStream(struct{ io.Reader }{strings.NewReader("a stream")}, -1)
		}
	})
	_, r := dial(t, address, "GET /a HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(r)
	if s := string(all); err != nil || !strings.HasSuffix(s, "\r\n\r\na stream") || strings.Contains(s, "hunked") || strings.Contains(s, "Content-Length") || !strings.Contains(s, "Connection: close") {
		t.Errorf("%q %v", all, err)
	}
}

// TestStopping: idle connections are closed, a request in flight is waited for.
func TestStopping(t *testing.T) {
	release := make(chan struct{})
	s, address := serve(t, nil, func(s *Server) {
		s.o.Handler = func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Request.Header.RequestURI()) == "/slow" {
				<-release
			}
		}
	})
	_, idleReader := dial(t, address, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	get(t, idleReader)
	_, slow := dial(t, address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	for s.Connections() < 2 {
		time.Sleep(time.Millisecond)
	}
	short, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if err := s.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request is in flight: %v", err)
	}
	if _, err := idleReader.ReadByte(); err != io.EOF {
		t.Errorf("an idle connection: %v", err)
	}
	close(release)
	if response, err := http.ReadResponse(slow, nil); err != nil || !response.Close {
		t.Errorf("the request in flight: %v", err)
	}
}

// TestFirstLineEndsAsItMust: with CRLF, behind one empty line at most, also when
// it comes in pieces or does not fit into the usual buffer.
func TestFirstLineEndsAsItMust(t *testing.T) {
	_, address := serve(t, nil, nil)
	long := "/" + strings.Repeat("a", 20_000)
	for raw, want := range map[string]int{
		"GET /a HTTP/1.1\r\nHost: x\r\n\r\n":           200,
		"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n":       200,
		"GET " + long + " HTTP/1.1\r\nHost: x\r\n\r\n": 200,
		"GET /a HTTP/1.1\nHost: x\r\n\r\n":             400,
		"\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n":         400,
		"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n":   400,
		"\r\n\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n":     400,
		"GET " + long + " HTTP/1.1\nHost: x\r\n\r\n":   400,
	} {
		c, r := dial(t, address, raw[:1])
		time.Sleep(5 * time.Millisecond) // so that the rest comes as a piece of its own
		if _, err := io.WriteString(c, raw[1:]); err != nil {
			t.Fatal(err)
		}
		if status, _ := get(t, r); status != want {
			t.Errorf("%.40q: %d, want %d", raw, status, want)
		}
	}
}
