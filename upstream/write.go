package upstream

import (
	"bufio"
	"errors"
	"strconv"
	"sync"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/valyala/fasthttp"
)

// pieceBytes is how much of a body is written under one limit, so that a long
// upload is bounded by its silence and not by its length.
const pieceBytes = 64 << 10

// writers lend the buffer that a request's head is built in. It holds a secret
// while it does; put wipes it.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

func putWriter(w *bufio.Writer) {
	w.Reset(nil)
	b := w.AvailableBuffer()
	clear(b[:cap(b)])
	writers.Put(w)
}

// write sends the request. What cannot be written at once is written while a
// listener waits for the answer.
func (a *Attempt) write(r *Request) error {
	w := writers.Get().(*bufio.Writer) //nolint:forcetypeassert // the pool's New
	defer putWriter(w)
	w.Reset(a.conn.stream)
	a.sent = true

	a.writeHead(w, r)
	if err := writeCredential(w, r); err != nil {
		return err
	}
	if r.Body == nil {
		if mayHaveBody(r.Method) {
			_, _ = w.WriteString("Content-Length: 0\r\n")
		}
		_, _ = w.WriteString("\r\n")
		return w.Flush()
	}
	if r.Interrupt != nil {
		a.listen(r.Interrupt)
	} else if s := a.conn.socket; s != nil {
		if a.listens == nil {
			a.listens = a.listenAlone
		}
		s.Blocked = a.listens
		defer func() { s.Blocked = nil }()
	}
	a.upload = upload{a: a, w: w, live: r.Interrupt != nil && r.BodyBytes >= 0}
	err := a.writeBody(w, r)
	a.upload = upload{}
	return err
}

func (a *Attempt) writeBody(w *bufio.Writer, r *Request) error {
	if r.BodyBytes < 0 {
		_, _ = w.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		_ = w.Flush()
		_, err := r.Body.WriteTo(chunks{&a.upload})
		if err != nil {
			// Without the last chunk the provider cannot take the rest for a whole.
			return errors.Join(err, w.Flush())
		}
		_, _ = w.WriteString("0\r\n\r\n")
		return w.Flush()
	}
	_, _ = w.WriteString("Content-Length: ")
	_, _ = w.Write(strconv.AppendInt(w.AvailableBuffer(), r.BodyBytes, 10))
	_, _ = w.WriteString("\r\n\r\n")
	if a.upload.live {
		_ = w.Flush() // a provider may answer by the head alone; an error comes again with the next write
	}
	n, err := r.Body.WriteTo(&a.upload)
	if err == nil && n != r.BodyBytes {
		err = ErrRequestBody
	}
	return errors.Join(err, w.Flush())
}

// writeHead writes the request line and the headers, without the credential.
func (a *Attempt) writeHead(w *bufio.Writer, r *Request) {
	t := a.target
	_, _ = w.Write(r.Method)
	_ = w.WriteByte(' ')
	toProxy := t.proxy != nil && !t.throughTunnel()
	if toProxy {
		_, _ = w.WriteString("http://")
		_, _ = w.WriteString(t.Host)
	}
	_, _ = w.WriteString(t.BasePath)
	_, _ = w.Write(r.Path)
	_, _ = w.WriteString(" HTTP/1.1\r\nHost: ")
	_, _ = w.WriteString(t.Host)
	_, _ = w.WriteString("\r\n")
	if toProxy {
		_, _ = w.WriteString(t.proxy.authorization)
	}
	_, _ = w.Write(r.Header)
}

// errWiped is a credential that was wiped between unseal and use. It cannot
// happen while a lease is held.
var errWiped = errors.New("BUG: credential wiped while leased")

func writeCredential(w *bufio.Writer, r *Request) error {
	if r.Credential == nil {
		return nil
	}
	_, _ = w.WriteString(r.CredentialHeader)
	if !r.Credential.Use(func(secret []byte) { _, _ = w.Write(secret) }) {
		return errWiped
	}
	_, err := w.WriteString("\r\n")
	return err
}

// mayHaveBody reports whether a request without a body should say so
// (RFC 9110, section 8.6).
func mayHaveBody(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodPost, fasthttp.MethodPut, fasthttp.MethodPatch:
		return true
	}
	return false
}

// upload writes a body of known length, in pieces that each have their limit.
type upload struct {
	a    *Attempt
	w    *bufio.Writer
	live bool // its source may be silent: what came is sent on
}

func (u *upload) Write(p []byte) (n int, err error) {
	if u.live {
		if err := u.a.extend(); err != nil {
			return 0, err
		}
	}
	for len(p) > u.w.Available() {
		piece := p[:min(len(p), pieceBytes)]
		if err := u.a.extend(); err != nil {
			return n, err
		}
		m, err := u.w.Write(piece)
		n, p = n+m, p[m:]
		if err != nil {
			return n, err
		}
	}
	m, err := u.w.Write(p)
	if err == nil && u.live {
		err = u.w.Flush()
	}
	return n + m, err
}

// errEnough ends the writing of a request that the provider has answered.
var errEnough = errors.New("upstream has answered before the request's end")

// extend moves the limit of a write.
func (a *Attempt) extend() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.enough {
		return errEnough
	}
	return a.conn.stream.SetWriteDeadline(a.deadline(a.target.Limits.Idle))
}

// chunks writes each run as one chunk and sends it on.
type chunks struct{ *upload }

func (c chunks) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // an empty chunk would end the body
	}
	if err := c.a.extend(); err != nil {
		return 0, err
	}
	_, _ = c.w.Write(strconv.AppendInt(c.w.AvailableBuffer(), int64(len(p)), 16))
	_, _ = c.w.WriteString("\r\n")
	n, err := c.upload.Write(p)
	if err != nil {
		return n, err
	}
	_, _ = c.w.WriteString("\r\n")
	return n, c.w.Flush()
}

// listen reads the answer's head while the request is being written. A final
// answer that is no success, and the end of the connection, end the writing.
// Behind an early success the request goes on to its end: its answer depends on
// the rest.
func (a *Attempt) listen(interrupt func()) {
	_ = a.conn.stream.SetReadDeadline(a.total)
	heard := make(chan struct{})
	a.heard, a.headBug = heard, true
	go func() {
		defer crash.Exit()
		defer close(heard)
		defer func() {
			if recover() != nil { // one request fails, and no other: see hear
				a.suffice(interrupt)
			}
		}()
		a.headErr = a.readHead()
		a.headBug = false
		if a.headErr != nil || a.Head.StatusCode() >= fasthttp.StatusMultipleChoices {
			a.suffice(interrupt)
		}
	}()
}

func (a *Attempt) listenAlone() { a.listen(func() {}) }

// suffice ends the writing of the request.
func (a *Attempt) suffice(interrupt func()) {
	a.mu.Lock()
	a.enough = true
	_ = a.conn.stream.SetWriteDeadline(past)
	a.mu.Unlock()
	interrupt()
}

func (a *Attempt) sufficed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.enough
}
