package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
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
	// Interrupt marks a body that is read from somewhere as it is written: it
	// can be written once only, and waits for its source. Interrupt ends such a
	// wait, from any goroutine, when the provider no longer reads; Body then
	// returns an error. nil: the body is at hand, and can be written again.
	Interrupt func()
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
	wrote   time.Time // when the request began to be written
	sent    bool
	resent  bool
	heard   chan struct{} // closed when a listener is done; nil for none
	headErr error         // of the head that it has read
	headBug bool          // it has panicked
	listens func()        // listenAlone, made once

	mu       sync.Mutex // guards what others share with the owner
	canceled bool
	enough   bool               // the provider has answered before the request's end
	tcp      net.Conn           // what Cancel closes
	abort    context.CancelFunc // what ends a dial
}

// Begin prepares a for a target. Until then Cancel has no effect.
func (a *Attempt) Begin(t *Target, now time.Time) {
	a.target, a.conn, a.sent, a.resent, a.lent = t, nil, false, false, 0
	a.body = framing{} // an attempt that fails before its answer must not look like one that ended
	a.started, a.total = now, time.Time{}
	if t.Limits.Total > 0 {
		a.total = now.Add(t.Limits.Total)
	}
	a.mu.Lock()
	a.canceled, a.tcp, a.abort = false, nil, nil
	a.mu.Unlock()
}

// Target is what Begin was given.
func (a *Attempt) Target() *Target { return a.target }

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

// Resent reports whether the request was sent a second time, because the
// connection it was first written to had been closed by the provider.
func (a *Attempt) Resent() bool { return a.resent }

// Send connects, sends r and reads the answer's head. After an error the
// attempt is over; End must still be called.
func (a *Attempt) Send(r *Request) error {
	fault.At("upstream.send")
	// A body that can be written only once gets a new connection: on any other
	// it could be lost.
	err := a.try(r, r.Interrupt != nil)
	if err == nil || !a.lost(r, err) {
		return err
	}
	a.resent = true
	a.drop()
	return a.try(r, true)
}

// try sends r once. fresh asks for a new connection.
func (a *Attempt) try(r *Request, fresh bool) error {
	if err := a.connect(fresh); err != nil {
		return err
	}
	a.conn.begin()
	a.wrote = time.Now()
	if err := a.conn.stream.SetDeadline(a.deadline(a.target.Limits.FirstByte)); err != nil {
		return a.failed(err, ErrUnreachable, CauseFirstByteTimeout)
	}
	werr := a.write(r)
	if a.sufficed() {
		werr = errEnough
	}
	// Also after a failed write: a provider that refuses a body early answers
	// and stops reading, and its answer is worth more than our broken pipe.
	herr := a.hear(werr)
	if herr != nil || errors.Is(werr, ErrRequestBody) {
		untouched := a.conn.untouched()
		err := a.noAnswer(herr, werr)
		if CauseOf(err) == CauseReset { // which confirms no byte, also where all of them were read
			untouched = time.Since(a.wrote) < resetSoon
		}
		a.sent = !untouched
		return err
	}
	a.body.begin(&a.Head, string(r.Method) == fasthttp.MethodHead)
	a.body.reusable = a.body.reusable && werr == nil
	return nil
}

// noAnswer says why no answer began: herr is of the head, werr of the request.
func (a *Attempt) noAnswer(herr, werr error) error {
	switch {
	case errors.Is(werr, ErrRequestBody):
		return a.failed(ErrRequestBody, ErrRequestBody, CauseNone)
	case timedOut(werr):
		return a.failed(werr, ErrUnreachable, CauseIdleTimeout)
	case errors.Is(herr, io.EOF) && werr != nil && werr != errEnough:
		return a.failed(werr, ErrUnreachable, CauseFirstByteTimeout)
	}
	return a.failed(herr, ErrUnreachable, CauseFirstByteTimeout)
}

// connect takes a connection and lets Cancel know it.
func (a *Attempt) connect(fresh bool) error {
	if !fresh {
		if c := a.target.pool.takeIdle(a.started); c != nil {
			return a.own(c)
		}
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
	c, err := a.target.dial(ctx)
	if err != nil {
		return err
	}
	return a.own(c)
}

func (a *Attempt) own(c *conn) error {
	a.conn = c
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tcp, a.abort, a.enough = c.tcp, nil, false
	if a.canceled {
		return ErrCanceled
	}
	return nil
}

// drop closes the connection, and nobody else's: Cancel forgets it first.
func (a *Attempt) drop() {
	a.mu.Lock()
	a.tcp = nil
	a.mu.Unlock()
	a.conn.close()
	a.conn = nil
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

func (a *Attempt) totalPassed() bool { return !a.total.IsZero() && !time.Now().Before(a.total) }

// hear waits for the answer's head, when the request was written or werr has
// ended it.
func (a *Attempt) hear(werr error) error {
	limit := a.deadline(a.target.Limits.FirstByte)
	if errors.Is(werr, ErrRequestBody) || timedOut(werr) {
		limit = past // what has come by now has to do
	}
	if a.heard != nil {
		_ = a.conn.stream.SetReadDeadline(limit)
		<-a.heard
		a.heard = nil
		if a.headBug {
			panic("BUG: an answer's head has broken its reader")
		}
		return a.headErr
	}
	if werr != nil {
		_ = a.conn.stream.SetReadDeadline(limit)
	}
	// If another goroutine can run, it goes first: the response has often arrived
	// by the time this one is scheduled again, and need not be waited for in vain
	// before (a tenth of a call's cost on one busy core, benchmarks/NOTES.md).
	runtime.Gosched()
	return a.readHead()
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

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
	c.counts = a.target.idle
	a.target.pool.put(c, now)
}
