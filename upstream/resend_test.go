package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// onceUsed gives a target whose pool has a connection that has served a
// request, and the provider's end of it. Connections after that are served by
// next.
func onceUsed(t *testing.T, next func(c net.Conn, r *bufio.Reader)) (*Target, net.Conn, *bufio.Reader) {
	t.Helper()
	type end struct {
		c net.Conn
		r *bufio.Reader
	}
	ends, release := make(chan end, 1), make(chan struct{})
	t.Cleanup(func() { close(release) })
	var conns atomic.Int64
	target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
		if conns.Add(1) > 1 {
			next(c, r)
			return
		}
		_, _, _ = readRequest(r)
		_, _ = io.WriteString(c, okAnswer)
		ends <- end{c, r}
		<-release
	}), testLimits)
	if _, body, err := exchange(t, target, newRequest("{}")); err != nil || body != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	e := <-ends
	if target.pool.len() != 1 {
		t.Fatal("the connection is not in the pool")
	}
	return target, e.c, e.r
}

// TestLostRequestIsSentAgain: what the provider does with a connection that has
// served before, and whether the request behind it goes to a new one.
func TestLostRequestIsSentAgain(t *testing.T) {
	served := func(c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	}
	f := func(name string, r *Request, provider func(c net.Conn, r *bufio.Reader), again bool, cause Cause) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			target, c, reader := onceUsed(t, served)
			go provider(c, reader)
			var a Attempt
			a.Begin(target, time.Now())
			defer func() { a.End(time.Now()) }()
			err := a.Send(r)
			if a.Resent() != again {
				t.Fatalf("sent again: %v (%v)", a.Resent(), err)
			}
			if again && err != nil || !again && (!errors.Is(err, ErrUnreachable) || CauseOf(err) != cause) {
				t.Errorf("%v", err)
			}
			if !again && !a.Sent() {
				t.Error("the provider has read the request, and may bill it")
			}
		})
	}
	get := newRequest("")
	get.Method = []byte("GET")
	readAndClose := func(c net.Conn, r *bufio.Reader) { _, _, _ = readRequest(r); _ = c.Close() }
	readOneByte := func(c net.Conn, r *bufio.Reader) {
		var b [1]byte
		_, _ = c.Read(b[:]) // the rest is lost: TCP says so
		_ = c.Close()
	}
	reset := func(c net.Conn, r *bufio.Reader) {
		_, _, _ = readRequest(r)
		time.Sleep(10 * resetSoon) // the provider works on it
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	f("closed with the request unread", newRequest("{}"), readOneByte, true, 0)
	f("closed behind the request", newRequest("{}"), readAndClose, false, CauseClosed)
	f("closed behind a GET", get, readAndClose, true, 0)
	f("reset while it worked", newRequest("{}"), reset, false, CauseReset)
	f("reset behind a GET", get, reset, true, 0)
}

// TestWhatTheKernelConfirmed: a request that crossed the provider's close was
// read by nobody, and one that was read is known to have been.
func TestWhatTheKernelConfirmed(t *testing.T) {
	f := func(name string, close func(c net.Conn, r *bufio.Reader), body string, want bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			target, c, reader := onceUsed(t, silent)
			held := target.pool.pop()
			done := make(chan struct{})
			if want { // before the request, and here by now
				close(c, reader)
				for held.alive() {
					time.Sleep(time.Millisecond)
				}
			} else {
				go func() { close(c, reader); c.Close(); done <- struct{}{} }()
			}
			var a Attempt
			a.Begin(target, time.Now())
			defer func() { a.End(time.Now()) }()
			if err := a.own(held); err != nil {
				t.Fatal(err)
			}
			held.begin()
			err := a.hear(a.write(newRequest(body)))
			if !want {
				<-done
			}
			if err == nil || held.untouched() != want {
				t.Errorf("untouched: %v, %v", held.untouched(), err)
			}
		})
	}
	f("closed before", func(c net.Conn, _ *bufio.Reader) { _ = c.Close() }, "{}", true)
	f("closed before a long request", func(c net.Conn, _ *bufio.Reader) { _ = c.Close() }, strings.Repeat("x", 1<<20), true)
	f("read and closed", func(_ net.Conn, r *bufio.Reader) { _, _, _ = readRequest(r) }, "{}", false)
	f("read a little and closed", func(_ net.Conn, r *bufio.Reader) { _, _ = r.ReadByte() }, strings.Repeat("x", 8<<20), false)
}

// TestProviderClosesBehindEachAnswer: at once, and so that its close meets the
// next request at every stage. Calls succeed, but for the few whose request had
// arrived in the moment of the close: those may have been read, and the provider
// sees none of them twice.
func TestProviderClosesBehindEachAnswer(t *testing.T) {
	for _, after := range []time.Duration{0, 5 * time.Millisecond} {
		var answered atomic.Int64
		target := newTarget(t, provider(t, func(c net.Conn, r *bufio.Reader) {
			for {
				if _, _, err := readRequest(r); err != nil {
					return
				}
				answered.Add(1)
				_, _ = io.WriteString(c, okAnswer)
				if after == 0 {
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(after))
				if _, err := r.Peek(1); err != nil {
					return
				}
				_ = c.SetReadDeadline(time.Time{})
			}
		}), testLimits)
		const calls, few = 300, 30
		crossed := 0
		for i := range calls {
			switch _, body, err := exchange(t, target, newRequest("{}")); {
			case CauseOf(err) == CauseReset && crossed < few:
				crossed++
			case err != nil || body != "ok":
				t.Errorf("call %d, closed after %v: %q, %v", i, after, body, err)
			}
			time.Sleep(after - time.Millisecond + time.Duration(i%40)*50*time.Microsecond)
		}
		if n := answered.Load(); n != int64(calls-crossed) {
			t.Errorf("%d requests were answered, of %d less %d", n, calls, crossed)
		}
	}
}

// TestUploadGetsANewConnection: what can be written only once is not risked on
// a connection that may be closing.
func TestUploadGetsANewConnection(t *testing.T) {
	used := make(chan net.Conn, 1)
	target, c, reader := onceUsed(t, func(c net.Conn, r *bufio.Reader) {
		used <- c
		_, _, _ = readRequest(r)
		_, _ = io.WriteString(c, okAnswer)
	})
	go readRequest(reader)
	r := newRequest("file")
	r.Interrupt = func() {}
	if _, body, err := exchange(t, target, r); err != nil || body != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	if got := <-used; got.RemoteAddr().String() == c.RemoteAddr().String() {
		t.Error("the upload went over the old connection")
	}
}

// TestFreshConnectionIsNotTriedAgain: a provider that hangs up on the request
// itself does so each time.
func TestFreshConnectionIsNotTriedAgain(t *testing.T) {
	var conns atomic.Int64
	target := newTarget(t, provider(t, func(_ net.Conn, r *bufio.Reader) {
		conns.Add(1)
		_, _, _ = readRequest(r)
	}), testLimits)
	if _, _, err := exchange(t, target, newRequest("{}")); !errors.Is(err, ErrUnreachable) || CauseOf(err) != CauseClosed {
		t.Errorf("%v", err)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
