package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// readOnlyHead reads a request's head and leaves its body.
func readOnlyHead(r *bufio.Reader) {
	for {
		if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
			return
		}
	}
}

// dripping is a body whose source gives half of it and then waits until it is
// interrupted.
type dripping struct {
	half        string
	interrupted chan struct{}
}

func (d *dripping) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, d.half)
	if err != nil {
		return int64(n), err
	}
	<-d.interrupted
	return int64(n), ErrRequestBody
}

func (d *dripping) request(length int64) *Request {
	r := newRequest("")
	r.Body, r.BodyBytes = d, length
	r.Interrupt = func() { close(d.interrupted) }
	return r
}

// TestEarlyAnswer: a provider answers before it has the whole request, reads no
// more and closes nothing. The answer is there at once, whatever the writer
// waits for: the provider's socket, or the body's source.
func TestEarlyAnswer(t *testing.T) {
	const large = 16 << 20 // more than sockets hold
	for name, request := range map[string]func() *Request{
		"a large body": func() *Request { return newRequest(strings.Repeat("x", large)) },
		"a large upload": func() *Request {
			r := newRequest(strings.Repeat("x", large))
			r.Interrupt = func() {}
			return r
		},
		"a chunked upload": func() *Request {
			r := newRequest(strings.Repeat("x", large))
			r.Interrupt, r.BodyBytes = func() {}, -1
			return r
		},
		"an upload whose source is silent":        func() *Request { return (&dripping{"half", make(chan struct{})}).request(100) },
		"a chunked upload whose source is silent": func() *Request { return (&dripping{"half", make(chan struct{})}).request(-1) },
		"a large upload whose source falls silent": func() *Request {
			return (&dripping{strings.Repeat("x", large), make(chan struct{})}).request(large + 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			closed := make(chan struct{})
			target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
				readOnlyHead(r)
				_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				<-over // neither read nor close
				_, _ = io.Copy(io.Discard, r)
				close(closed)
			}), Limits{Connect: time.Second, FirstByte: time.Minute, Idle: time.Minute})
			began := time.Now()
			status, body, err := exchange(t, target, request())
			close(over)
			if err != nil || status != 413 || body != "big" {
				t.Errorf("got %d %q %v", status, body, err)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("after %v", d)
			}
			select {
			case <-closed:
			case <-time.After(10 * time.Second):
				t.Error("the connection was not closed")
			}
			if target.pool.len() != 0 {
				t.Error("a connection with half a request was kept")
			}
		})
	}
}

// TestEarlySuccessWaitsForTheRequest: a provider that has begun to say 200 still
// reads.
func TestEarlySuccessWaitsForTheRequest(t *testing.T) {
	const large = 16 << 20
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		readOnlyHead(r)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		n, _ := io.CopyN(io.Discard, r, large)
		got := fmt.Sprint(n)
		_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n0\r\n\r\n", len(got), got)
		_, _ = r.ReadByte()
	}), testLimits)
	status, body, err := exchange(t, target, newRequest(strings.Repeat("x", large)))
	if err != nil || status != 200 || body != fmt.Sprint(large) {
		t.Errorf("got %d %q %v", status, body, err)
	}
	if target.pool.len() != 1 {
		t.Error("the connection was not kept")
	}
}

// TestWritesHaveTheIdleLimit: a provider that neither reads nor answers is left
// when the silence is too long, not when the answer would be.
func TestWritesHaveTheIdleLimit(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"at hand": func(*Request) {},
		"upload":  func(r *Request) { r.Interrupt = func() {} },
		"chunked": func(r *Request) { r.Interrupt, r.BodyBytes = func() {}, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			target := newTarget(t, provider(t, func(net.Conn, *bufio.Reader) { <-over }),
				Limits{Connect: time.Second, FirstByte: time.Minute, Idle: 100 * time.Millisecond})
			r := newRequest(strings.Repeat("x", 16<<20))
			change(r)
			if _, _, err := exchange(t, target, r); !errors.Is(err, ErrTimeout) || CauseOf(err) != CauseIdleTimeout {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFirstByteIsCountedFromTheLastByteSent: an upload may take longer than an
// answer may.
func TestFirstByteIsCountedFromTheLastByteSent(t *testing.T) {
	slow := make(chan struct{})
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		_, _, _ = readRequest(r)
		_, _ = io.WriteString(c, okAnswer)
	}), Limits{Connect: time.Second, FirstByte: 200 * time.Millisecond, Idle: time.Minute})
	time.AfterFunc(500*time.Millisecond, func() { close(slow) })
	r := newRequest("")
	r.Body, r.BodyBytes, r.Interrupt = late{slow}, 4, func() {}
	if _, body, err := exchange(t, target, r); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
}

// late is a body that comes when its channel is closed.
type late struct{ after <-chan struct{} }

func (l late) WriteTo(w io.Writer) (int64, error) {
	<-l.after
	n, err := io.WriteString(w, "late")
	return int64(n), err
}
