package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

var testLimits = Limits{Connect: time.Second, FirstByte: 2 * time.Second, Idle: 2 * time.Second}

// provider answers each connection with a function, on a real socket.
func provider(t testing.TB, serve func(c net.Conn, r *bufio.Reader)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
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
	return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/v1"}
}

// request reads one request and returns its head and body.
func readRequest(r *bufio.Reader) (head string, body []byte, err error) {
	var b strings.Builder
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		if line == "\r\n" {
			break
		}
		b.WriteString(line)
		if n, found := strings.CutPrefix(strings.ToLower(line), "content-length: "); found {
			_, _ = fmt.Sscan(n, &length)
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return b.String(), body, err
}

// text is a body that can be written again.
type text string

func (b text) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(b))
	return int64(n), err
}

type secret string

func (s secret) Use(f func([]byte)) bool { f([]byte(s)); return true }

func newRequest(body string) *Request {
	r := &Request{
		Method: []byte("POST"), Path: []byte("/chat/completions"), Header: []byte("Accept: */*\r\n"),
		CredentialHeader: "Authorization: Bearer ", Credential: secret("sk-secret"),
	}
	if body != "" {
		r.Body, r.BodyBytes = text(body), int64(len(body))
	}
	return r
}

// exchange makes one attempt and reads the answer to its end.
func exchange(t *testing.T, target *Target, r *Request) (status int, body string, err error) {
	t.Helper()
	var a Attempt
	a.Begin(target, time.Now())
	defer func() { a.End(time.Now()) }()
	if err := a.Send(r); err != nil {
		return 0, "", err
	}
	var b bytes.Buffer
	for {
		p, err := a.Next()
		if err == io.EOF {
			return a.Head.StatusCode(), b.String(), nil
		}
		if err != nil {
			return a.Head.StatusCode(), b.String(), err
		}
		b.Write(p)
	}
}

func newTarget(t *testing.T, base *url.URL, limits Limits) *Target {
	t.Helper()
	c := NewClient()
	t.Cleanup(c.Close)
	return c.NewTarget(base, nil, nil, limits)
}

func TestSendWritesRequestAsGiven(t *testing.T) {
	got := make(chan string, 1)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		head, body, _ := readRequest(r)
		got <- head + string(body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}), testLimits)
	if _, body, err := exchange(t, target, newRequest(`{"a":1}`)); err != nil || body != "ok" {
		t.Fatalf("got %q, %v", body, err)
	}
	want := "POST /v1/chat/completions HTTP/1.1\r\nHost: " + target.Host +
		"\r\nAccept: */*\r\nAuthorization: Bearer sk-secret\r\nContent-Length: 7\r\n" + `{"a":1}`
	if g := <-got; g != want {
		t.Errorf("got %q, want %q", g, want)
	}
}

func TestAnswerFraming(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	f := func(name, answer, want string, wantErr error, reused bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
				for {
					if _, _, err := readRequest(r); err != nil {
						return
					}
					_, _ = io.WriteString(c, answer)
					if wantErr != nil || !reused {
						return
					}
				}
			}), testLimits)
			_, body, err := exchange(t, target, newRequest("{}"))
			if !errors.Is(err, wantErr) {
				t.Fatalf("error %v, want %v", err, wantErr)
			}
			if body != want {
				t.Errorf("body of %d bytes %.40q, want %d bytes", len(body), body, len(want))
			}
			if got := target.pool.len() == 1; got != reused {
				t.Errorf("connection kept: %v, want %v", got, reused)
			}
		})
	}
	f("length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, true)
	f("no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", nil, true)
	f("204", "HTTP/1.1 204 No Content\r\n\r\n", "", nil, true)
	f("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: t\r\n\r\n", "hello!", nil, true)
	f("interim answers", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", nil, true)
	f("long length", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), long, nil, true)
	f("long chunk", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long), long, nil, true)
	f("until close", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", nil, false)
	f("connection close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", nil, false)
	f("large head", "HTTP/1.1 200 OK\r\nX-Large: "+long[:20_000]+"\r\nContent-Length: 2\r\n\r\nok", "ok", nil, false)
	f("head beyond the limit", "HTTP/1.1 200 OK\r\nX-Large: "+long+"\r\nContent-Length: 2\r\n\r\nok", "", ErrInvalid, false)
	f("more than announced", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokEXTRA", "ok", nil, false)
	f("less than announced", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello", ErrTruncated, false)
	f("cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", ErrTruncated, false)
	f("cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "hello", ErrTruncated, false)
	f("bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", "hello", ErrInvalid, false)
	f("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "", ErrInvalid, false)
	f("a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("chunks and a length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ncontent-length : 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("chunks and a length, bare line feeds", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 0\n\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("a length and chunks, interim", "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "", ErrInvalid, false)
	f("chunks from HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("chunks twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("a long head with a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Large: "+long[:20_000]+"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ErrInvalid, false)
	f("not HTTP", "SSH-2.0-OpenSSH_9\r\n\r\n", "", ErrInvalid, false)
	f("nothing", "", "", ErrUnreachable, false)
}

func TestConnectionIsReusedOnlyWhenClean(t *testing.T) {
	conns := make(chan net.Addr, 10)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		conns <- c.RemoteAddr()
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		}
	}), testLimits)
	for range 3 {
		if _, _, err := exchange(t, target, newRequest("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if len(conns) != 1 {
		t.Errorf("%d connections for 3 whole exchanges, want 1", len(conns))
	}
	var a Attempt // leaves the body unread
	a.Begin(target, time.Now())
	if err := a.Send(newRequest("{}")); err != nil {
		t.Fatal(err)
	}
	a.End(time.Now())
	if n := target.pool.len(); n != 0 {
		t.Errorf("a connection with an unread answer was kept")
	}
}

// TestAttemptThatIsUsedAgainForgetsTheLast: a whole exchange, then one whose
// answer never begins in time, with the same Attempt; the late answer must not
// wait in the pool for somebody else.
func TestAttemptThatIsUsedAgainForgetsTheLast(t *testing.T) {
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		for {
			_, body, err := readRequest(r)
			if err != nil {
				return
			}
			if string(body) == "late" {
				time.Sleep(100 * time.Millisecond)
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}), Limits{Connect: time.Second, FirstByte: 50 * time.Millisecond, Idle: time.Second})
	var a Attempt
	for _, body := range []string{"one", "late", "three"} {
		a.Begin(target, time.Now())
		err := a.Send(newRequest(body))
		if (err != nil) != (body == "late") {
			t.Fatalf("%s: %v", body, err)
		}
		if err == nil {
			if p, err := a.Next(); err != nil || string(p) != body {
				t.Errorf("%s got %q, %v", body, p, err)
			}
		}
		a.End(time.Now())
		if kept := target.pool.len(); kept != 1 && body != "late" || kept != 0 && body == "late" {
			t.Errorf("after %s: %d connections kept", body, kept)
		}
	}
}

func TestIdleConnectionClosedByProviderIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 2)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		if _, _, err := readRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_ = c.Close()
		closed <- struct{}{}
	}), testLimits)
	for range 2 {
		if _, body, err := exchange(t, target, newRequest("{}")); err != nil || body != "ok" {
			t.Fatalf("got %q, %v", body, err)
		}
		<-closed
	}
}

func TestUnaskedBytesOnIdleConnectionAreNotAnAnswer(t *testing.T) {
	sent := make(chan struct{}, 1)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
			sent <- struct{}{}
		}
	}), testLimits)
	for range 3 {
		_, body, err := exchange(t, target, newRequest("{}"))
		if err != nil || body != "ok" {
			t.Fatalf("got %q, %v", body, err)
		}
		<-sent
	}
}

func TestCancelEndsEveryWait(t *testing.T) {
	f := func(name string, serve func(net.Conn, *bufio.Reader)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			gone := make(chan time.Time, 1)
			ready := make(chan struct{})
			target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
				_, _, _ = readRequest(r)
				serve(c, r)
				close(ready)
				_, _ = r.ReadByte() // until the connection is closed
				gone <- time.Now()
			}), testLimits)
			var a Attempt
			a.Begin(target, time.Now())
			go func() {
				<-ready
				a.Cancel()
			}()
			err := a.Send(newRequest("{}"))
			for err == nil {
				_, err = a.Next()
			}
			if !errors.Is(err, ErrCanceled) {
				t.Errorf("got %v, want ErrCanceled", err)
			}
			a.End(time.Now())
			select {
			case <-gone:
			case <-time.After(5 * time.Second):
				t.Error("the provider's connection was not closed")
			}
			if target.pool.len() != 0 {
				t.Error("a canceled connection was kept")
			}
		})
	}
	f("before the first byte", func(net.Conn, *bufio.Reader) {})
	f("in the middle of a stream", func(c net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	})
	f("in the middle of a body", func(c net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello")
	})
}

func TestCancelBeforeSendAndAfterEnd(t *testing.T) {
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), testLimits)
	var a Attempt
	a.Begin(target, time.Now())
	a.Cancel()
	if err := a.Send(newRequest("{}")); !errors.Is(err, ErrCanceled) {
		t.Errorf("got %v, want ErrCanceled", err)
	}
	a.End(time.Now())
	if _, _, err := exchange(t, target, newRequest("{}")); err != nil {
		t.Fatal(err)
	}
	a.Cancel() // of an attempt that is over: must not close the pooled connection
	if _, _, err := exchange(t, target, newRequest("{}")); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	f := func(name string, limits Limits, answer string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
				_, _, _ = readRequest(r)
				_, _ = io.WriteString(c, answer)
				_, _ = r.ReadByte()
			}), limits)
			if _, _, err := exchange(t, target, newRequest("{}")); !errors.Is(err, ErrTimeout) {
				t.Errorf("got %v, want ErrTimeout", err)
			}
		})
	}
	const short = 50 * time.Millisecond
	f("first byte", Limits{Connect: time.Second, FirstByte: short}, "")
	f("half a head", Limits{Connect: time.Second, FirstByte: short}, "HTTP/1.1 200")
	f("silence", Limits{Connect: time.Second, FirstByte: time.Second, Idle: short}, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
	f("total", Limits{Connect: time.Second, FirstByte: time.Minute, Idle: time.Minute, Total: short}, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
}

func TestRefusedConnectionIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := &url.URL{Scheme: "http", Host: l.Addr().String()}
	_ = l.Close()
	if _, _, err := exchange(t, newTarget(t, base, testLimits), newRequest("{}")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

func TestEarlyAnswerToAnUploadIsRead(t *testing.T) {
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		for {
			line, err := r.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, r)
	}), testLimits)
	status, body, err := exchange(t, target, newRequest(strings.Repeat("x", 8<<20)))
	if err != nil || status != 413 || body != "big" {
		t.Errorf("got %d %q %v", status, body, err)
	}
}

type failingBody struct{}

func (failingBody) WriteTo(w io.Writer) (int64, error) {
	_, _ = io.WriteString(w, "half")
	return 4, ErrRequestBody
}

func TestUnfinishedRequestBodyIsNeverWhole(t *testing.T) {
	got := make(chan string, 1)
	target := newTarget(t, provider(t, func(_ net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		got <- string(all)
	}), testLimits)
	r := newRequest("")
	r.Body, r.BodyBytes, r.Interrupt = failingBody{}, -1, func() {}
	if _, _, err := exchange(t, target, r); !errors.Is(err, ErrRequestBody) {
		t.Errorf("got %v, want ErrRequestBody", err)
	}
	if g := <-got; !strings.HasSuffix(g, "4\r\nhalf\r\n") {
		t.Errorf("the provider saw the body end: %q", g)
	}
}

func TestWriterIsWipedAfterUse(t *testing.T) {
	w := bufio.NewWriterSize(io.Discard, 4<<10)
	_, _ = w.WriteString("Authorization: Bearer sk-secret")
	putWriter(w)
	whole := w.AvailableBuffer()
	if bytes.Contains(whole[:cap(whole)], []byte("sk-secret")) {
		t.Error("the pooled writer still holds the credential")
	}
}

// silent reads and never answers.
func silent(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }

// TestIdleConnectionsEnd: what a connection holds of its last call does not stay
// for longer than a connection that nobody uses.
func TestIdleConnectionsEnd(t *testing.T) {
	ended := make(chan error, 1)
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		if _, _, err := readRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		_, err := r.ReadByte()
		ended <- err
	}), testLimits)
	if _, _, err := exchange(t, target, newRequest("{}")); err != nil {
		t.Fatal(err)
	}
	used := time.Now()
	target.pool.expire(used.Add(-idleLifetime)) // as the client does at that moment
	if n := target.pool.len(); n != 1 {
		t.Fatalf("%d connections are kept after a call, want 1", n)
	}
	target.pool.expire(used.Add(idleLifetime + time.Second).Add(-idleLifetime))
	if n := target.pool.len(); n != 0 {
		t.Errorf("%d connections are kept after their time", n)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the provider got more")
		}
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
}
