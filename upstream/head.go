package upstream

import (
	"bufio"
	"bytes"

	"github.com/valyala/fasthttp"
)

// readHead reads the head of the final answer; interim ones (1xx) are dropped.
func (a *Attempt) readHead() error {
	for {
		if err := a.nextHead(); err != nil {
			return err
		}
		if status := a.Head.StatusCode(); status < 100 || status > 599 || status == fasthttp.StatusSwitchingProtocols {
			return fail(ErrInvalid, CauseBadResponse)
		} else if status >= 200 {
			return nil
		}
	}
}

// nextHead reads one head. It is whole in the buffer before it is parsed, so
// that what is parsed and what is checked are the same bytes.
func (a *Attempt) nextHead() error {
	held, end, err := a.wholeHead()
	if err != nil {
		return err
	}
	r := a.conn.reader
	a.Head.SetNoDefaultContentType(true)
	if err := a.Head.Read(r); err != nil || len(held)-r.Buffered() != end || !framedOnce(held[:end], &a.Head) {
		return fail(ErrInvalid, CauseBadResponse) // its text may quote the head
	}
	return nil
}

// wholeHead waits for a head and gives what is buffered, and where in it the
// head ends.
func (a *Attempt) wholeHead() (held []byte, end int, err error) {
	for from := 0; ; from = len(held) {
		r := a.conn.reader
		_, err = r.Peek(len(held) + 1)
		held, _ = r.Peek(r.Buffered())
		if !maybeHTTP(held) {
			return nil, 0, badHead(held)
		}
		end = headEnd(held, from)
		switch {
		case end > 0:
			return held, end, nil
		case err == bufio.ErrBufferFull && !a.conn.grown():
			a.conn.grow()
		case err == bufio.ErrBufferFull:
			return nil, 0, fail(ErrInvalid, CauseBadResponse)
		case err != nil && len(held) > 0 && !timedOut(err):
			return nil, 0, fail(ErrInvalid, CauseBadResponse) // it ended in the middle
		case err != nil:
			return nil, 0, err
		}
	}
}

// headEnd finds the end of a head, the empty line included, behind a part of b
// that was searched before. It is zero if there is none yet.
func headEnd(b []byte, searched int) int {
	begin := 0 // empty lines may be before it
	for begin < len(b) && (b[begin] == '\r' || b[begin] == '\n') {
		begin++
	}
	for at := max(begin, searched-2); ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		switch rest := b[at:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return at + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return at + 2
		}
	}
}

// maybeHTTP reports whether b is the beginning of an HTTP/1 head, as far as it
// goes.
func maybeHTTP(b []byte) bool {
	const version = "HTTP/1."
	b = bytes.TrimLeft(b, "\r\n")
	n := min(len(b), len(version))
	return string(b[:n]) == version[:n]
}

// framedOnce reports whether a head says in one way only where its body ends.
// Two ways, and chunks from a server that is older than them, are what response
// smuggling is made of (RFC 9112, section 6.3 and 6.1). Other faults of the kind
// are fasthttp's to refuse.
func framedOnce(head []byte, h *fasthttp.ResponseHeader) bool {
	if h.ContentLength() >= 0 && h.IsHTTP11() {
		return true // with chunks it would be negative
	}
	length, chunks := false, false
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		length = length || bytes.EqualFold(name, []byte(fasthttp.HeaderContentLength))
		chunks = chunks || bytes.EqualFold(name, []byte(fasthttp.HeaderTransferEncoding))
	}
	return !chunks || !length && h.IsHTTP11()
}
