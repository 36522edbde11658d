package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/fault"
	"github.com/valyala/fasthttp"
)

// Credential lends a tenant's secret for the length of a call. It reports
// false when the secret is already wiped. vaultbridge's leases meet it.
type Credential interface {
	Use(f func(secret []byte)) bool
}

// Request is what an attempt sends. Its slices are borrowed until Send
// returns.
type Request struct {
	Method []byte
	// Path is put behind the target's base path: raw, with its query.
	Path []byte
	// Header holds complete lines, each ended by CRLF: what the caller chose to
	// pass on. Host, framing and the credential are added here.
	Header []byte
	// CredentialHeader is what stands before the secret, such as
	// "Authorization: Bearer ".
	CredentialHeader string
	Credential       Credential
	// Body is written after the head; nil for none. BodyBytes is its length,
	// or -1 for a body that is sent chunked.
	Body      io.WriterTo
	BodyBytes int64
}

// Attempt is one try at a target. It is used by one goroutine; only Cancel may
// be called from others. Begin, Send, then Next until an error, then End. The
// zero value is ready; after End it can begin again.
type Attempt struct {
	// Head is the answer's head, valid from Send to End.
	Head fasthttp.ResponseHeader

	target  *Target
	conn    *conn
	body    framing
	lent    int     // bytes of conn.reader lent by the last Next
	large   *[]byte // buffer for long runs, from largeBuffers
	upload  upload
	total   time.Time // when Limits.Total passes; zero for never
	started time.Time
	sent    bool

	mu       sync.Mutex // guards what Cancel shares with the owner
	canceled bool
	tcp      net.Conn           // what Cancel closes
	abort    context.CancelFunc // what ends a dial
}

// Begin prepares a for a target. Until then Cancel has no effect.
func (a *Attempt) Begin(t *Target, now time.Time) {
	a.target, a.conn, a.sent, a.lent = t, nil, false, 0
	a.body = framing{} // an attempt that fails before its answer must not look like one that ended
	a.started, a.total = now, time.Time{}
	if t.Limits.Total > 0 {
		a.total = now.Add(t.Limits.Total)
	}
	a.mu.Lock()
	a.canceled, a.tcp, a.abort = false, nil, nil
	a.mu.Unlock()
}

// Cancel ends the attempt from any goroutine, whatever it waits for: the
// owner's call returns ErrCanceled and the connection is closed. After End it
// does nothing.
func (a *Attempt) Cancel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.canceled = true
	if a.abort != nil {
		a.abort()
	}
	if a.tcp != nil {
		_ = a.tcp.Close()
	}
}

// Sent reports whether any byte of the request may have reached the provider:
// from then on it may bill.
func (a *Attempt) Sent() bool { return a.sent }

// Send connects, sends r and reads the answer's head. After an error the
// attempt is over; End must still be called.
func (a *Attempt) Send(r *Request) error {
	fault.At("upstream.send")
	if err := a.connect(); err != nil {
		return err
	}
	if err := a.conn.stream.SetDeadline(a.deadline(a.target.Limits.FirstByte)); err != nil {
		return a.fail(err, ErrUnreachable)
	}
	werr := a.write(r)
	if errors.Is(werr, ErrRequestBody) {
		return a.fail(werr, ErrRequestBody)
	}
	// Whoever else can go on goes first: where there is somebody, the answer is
	// often there afterwards, and this goroutine need not wait for its socket in
	// vain before (a tenth of a call's cost on one busy core, benchmarks/NOTES.md).
	runtime.Gosched()
	// Also after a failed write: a provider that refuses a body early answers
	// and stops reading, and its answer is worth more than our broken pipe.
	if err := a.readHead(); err != nil {
		return a.fail(errors.Join(err, werr), ErrUnreachable)
	}
	a.body.begin(&a.Head, string(r.Method) == fasthttp.MethodHead)
	a.body.reusable = a.body.reusable && werr == nil
	return nil
}

// connect takes a connection and tells Cancel about it.
func (a *Attempt) connect() error {
	if c := a.target.pool.takeIdle(a.started); c != nil {
		return a.own(c)
	}
	ctx, stop := context.WithTimeout(context.Background(), a.target.Limits.Connect)
	defer stop()
	a.mu.Lock()
	a.abort = stop
	canceled := a.canceled
	a.mu.Unlock()
	if canceled {
		return ErrCanceled
	}
	c, err := dial(ctx, a.target)
	if err != nil {
		return err
	}
	return a.own(c)
}

func (a *Attempt) own(c *conn) error {
	a.conn = c
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tcp, a.abort = c.tcp, nil
	if a.canceled {
		return ErrCanceled
	}
	return nil
}

// deadline is when a wait that may last d ends, with the total limit observed.
func (a *Attempt) deadline(d time.Duration) time.Time {
	if d <= 0 {
		return a.total
	}
	end := time.Now().Add(d)
	if !a.total.IsZero() && a.total.Before(end) {
		return a.total
	}
	return end
}

// writers lend the buffer that a request's head is built in. It holds a secret
// while it does; put wipes it.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

func putWriter(w *bufio.Writer) {
	w.Reset(nil)
	b := w.AvailableBuffer()
	clear(b[:cap(b)])
	writers.Put(w)
}

func (a *Attempt) write(r *Request) error {
	w := writers.Get().(*bufio.Writer) //nolint:forcetypeassert // the pool's New
	defer putWriter(w)
	w.Reset(a.conn.stream)
	a.sent = true

	_, _ = w.Write(r.Method)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(a.target.BasePath)
	_, _ = w.Write(r.Path)
	_, _ = w.WriteString(" HTTP/1.1\r\nHost: ")
	_, _ = w.WriteString(a.target.Host)
	_, _ = w.WriteString("\r\n")
	_, _ = w.Write(r.Header)
	if err := writeCredential(w, r); err != nil {
		return err
	}
	switch {
	case r.Body == nil:
		if mayHaveBody(r.Method) {
			_, _ = w.WriteString("Content-Length: 0\r\n")
		}
		_, _ = w.WriteString("\r\n")
		return w.Flush()
	case r.BodyBytes >= 0:
		_, _ = w.WriteString("Content-Length: ")
		_, _ = w.Write(strconv.AppendInt(w.AvailableBuffer(), r.BodyBytes, 10))
		_, _ = w.WriteString("\r\n\r\n")
		a.upload = upload{a: a, w: w}
		n, err := r.Body.WriteTo(&a.upload)
		a.upload = upload{}
		if err == nil && n != r.BodyBytes {
			err = ErrRequestBody
		}
		return errors.Join(err, w.Flush())
	default:
		_, _ = w.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		return a.writeChunked(w, r.Body)
	}
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

// upload writes a body of known length. Each write moves the deadline, so that
// a long upload is bounded by its silence and not by its length.
type upload struct {
	a *Attempt
	w *bufio.Writer
}

func (u *upload) Write(p []byte) (int, error) {
	if len(p) > u.w.Available() {
		if err := u.a.conn.stream.SetDeadline(u.a.deadline(u.a.target.Limits.FirstByte)); err != nil {
			return 0, err
		}
	}
	return u.w.Write(p)
}

func (a *Attempt) writeChunked(w *bufio.Writer, body io.WriterTo) error {
	_, err := body.WriteTo(chunks{&upload{a: a, w: w}})
	if err != nil {
		// Without the last chunk the provider cannot take the rest for a whole.
		return errors.Join(err, w.Flush())
	}
	_, _ = w.WriteString("0\r\n\r\n")
	return w.Flush()
}

// chunks writes each run as one chunk and sends it on.
type chunks struct{ *upload }

func (c chunks) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // an empty chunk would end the body
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

// readHead reads the head of the final answer; interim ones (1xx) are dropped.
func (a *Attempt) readHead() error {
	for {
		a.Head.SetNoDefaultContentType(true)
		err := a.Head.Read(a.conn.reader)
		var small *fasthttp.ErrSmallBuffer
		if errors.As(err, &small) && !a.conn.grown() {
			a.conn.grow()
			continue
		}
		if err != nil {
			return headError(err)
		}
		if status := a.Head.StatusCode(); status < 100 || status > 599 || status == fasthttp.StatusSwitchingProtocols {
			return ErrInvalid
		} else if status >= 200 {
			return nil
		}
	}
}

// headError keeps what a failed wait was and drops what a bad head said: its
// text may quote the head.
func headError(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, fasthttp.ErrTimeout), errors.As(err, &network) && network.Timeout():
		return ErrTimeout
	case errors.Is(err, io.EOF):
		return ErrUnreachable
	}
	return ErrInvalid
}

// fail turns what a read or write returned into one of our errors.
func (a *Attempt) fail(err, otherwise error) error {
	a.mu.Lock()
	canceled := a.canceled
	a.mu.Unlock()
	var network net.Error
	switch {
	case canceled:
		return ErrCanceled
	case errors.Is(err, ErrTimeout), errors.As(err, &network) && network.Timeout():
		return ErrTimeout
	case errors.Is(err, ErrInvalid):
		return ErrInvalid
	}
	return fmt.Errorf("%w: %s", otherwise, reason(err))
}

// reason says in our words what the network said: a foreign text could hold
// anything.
func reason(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.Is(err, net.ErrClosed):
		return "connection closed by us"
	}
	return "connection failed"
}

// End gives the connection back or closes it. The answer's head and the bytes
// lent by Next are invalid from here on. now is when the connection becomes
// idle.
func (a *Attempt) End(now time.Time) {
	a.mu.Lock()
	a.tcp, a.abort = nil, nil
	canceled := a.canceled
	a.mu.Unlock()
	if a.large != nil {
		largeBuffers.Put(a.large)
		a.large = nil
	}
	c := a.conn
	if c == nil {
		return
	}
	a.conn = nil
	if a.lent > 0 {
		_, _ = c.reader.Discard(a.lent)
	}
	clean := a.body.ended && a.body.reusable && !canceled && !c.grown() && c.reader.Buffered() == 0
	if !clean {
		c.close()
		return
	}
	a.target.pool.put(c, now)
}
