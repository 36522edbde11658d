package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// scripted is a connection whose peer takes everything and answers in pieces.
type scripted struct {
	net.Conn // nil: what is not below is not called

	answer []byte
	cuts   []byte
	reads  int
	closed bool
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.answer) == 0 {
		return 0, io.EOF
	}
	n := len(s.answer)
	if len(s.cuts) > 0 {
		n = min(n, 1+int(s.cuts[s.reads%len(s.cuts)]))
	}
	s.reads++
	n = copy(p, s.answer[:n])
	s.answer = s.answer[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { s.closed = true; return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// outcome is what an attempt makes of an answer.
type outcome struct {
	status       int
	body         string
	err          error
	ended, reuse bool
}

// outcomeOf makes one attempt that is answered so.
func outcomeOf(method string, answer, cuts []byte) (o outcome) {
	peer := &scripted{answer: answer, cuts: cuts}
	target, now := &Target{Limits: testLimits, pool: &pool{}}, time.Now()
	target.pool.put(newConn(peer, peer, now.Add(time.Hour)), now)
	target.pool.idle[0].reused = false // nothing is sent again: there is nowhere to
	var a Attempt
	a.Begin(target, now)
	r := newRequest("{}")
	r.Method = []byte(method)
	if o.err = a.Send(r); errors.Is(o.err, ErrUnreachable) {
		o.err = ErrInvalid // a bad head that was cut is both: which one is found first hangs on the pieces
	} else if o.err == nil {
		o.status = a.Head.StatusCode()
		var p []byte
		for p, o.err = a.Next(); o.err == nil; p, o.err = a.Next() {
			o.body += string(p)
		}
	}
	o.ended = a.Ended()
	a.End(now)
	o.reuse = target.pool.len() == 1
	if o.reuse == peer.closed {
		panic("BUG: a connection is either kept or closed")
	}
	for _, known := range []error{io.EOF, ErrInvalid, ErrTruncated} {
		if errors.Is(o.err, known) {
			o.err = known
			return o
		}
	}
	return o
}

// standard reads the same answer with net/http, and what stands behind it.
func standard(method string, answer []byte) (status int, body, rest []byte, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(answer), len(answer)+16)
	for status < 200 {
		var response *http.Response
		if response, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
			return 0, nil, nil, err
		}
		status = response.StatusCode
		body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	rest, _ = io.ReadAll(r)
	return status, body, rest, err
}

// FuzzAttempt: an answer is the same in whatever pieces it comes; one that is
// read to its end is what net/http reads; and a connection is kept only if
// nothing of the answer can be taken for the next one.
func FuzzAttempt(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: t\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n\r\n", "",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nx",
	} {
		f.Add([]byte(s), []byte{0, 6, 1, 30}, false)
		f.Add([]byte(s), []byte{0}, true)
	}
	f.Fuzz(func(t *testing.T, answer, cuts []byte, head bool) {
		method := "POST"
		if head {
			method = "HEAD"
		}
		whole, split := outcomeOf(method, answer, nil), outcomeOf(method, answer, cuts)
		if !slices.Contains([]error{io.EOF, ErrInvalid, ErrTruncated}, whole.err) {
			t.Fatalf("%q ends with %v", answer, whole.err)
		}
		split.reuse = whole.reuse // what has not come yet is looked at before the next request
		if whole != split {
			t.Fatalf("%q: whole %+v, split %+v", answer, whole, split)
		}
		if whole.ended != (whole.err == io.EOF) || whole.reuse && !whole.ended {
			t.Fatalf("%q: %+v", answer, whole)
		}
		status, body, rest, err := standard(method, answer)
		if whole.ended && err == nil && (status != whole.status || string(body) != whole.body) {
			t.Fatalf("%q: %+v, net/http has %d %q", answer, whole, status, body)
		}
		if whole.reuse && len(answer) <= readBufferBytes && (err != nil || len(rest) > 0) {
			t.Fatalf("%q: %+v, net/http has %d %q, %q behind it, %v", answer, whole, status, body, rest, err)
		}
	})
}
