package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// This file is where a client's body enters: nothing else in the gateway may
// touch fasthttp's body accessors.

const (
	// firstReadBytes is what a body's buffer begins with. A Content-Length is a
	// claim: memory follows the bytes that came, not those that were announced.
	firstReadBytes = 4 << 10
	// bufferGrowth is how much larger the next buffer is at most, if one is full.
	bufferGrowth = 4
	// uploadBufferBytes is what a streamed upload is copied through.
	uploadBufferBytes = 32 << 10
	// leastBytesPerSecond is how fast a body must come: a client that sends a
	// byte before each limit would hold its place for years (the default of
	// Apache's mod_reqtimeout, its documentation, 2026).
	leastBytesPerSecond = 500
)

// bodyBuffers lend the memory of bodies that are held: of firstReadBytes, twice
// as much, and so on to 16 MiB. Larger ones are not kept. A body of 400 KB costs
// half of what it did when its buffers were made each time (benchmarks/NOTES.md).
var bodyBuffers [13]sync.Pool

// bufferClass is the smallest class with room for n bytes, and its size.
func bufferClass(n int) (class, size int) {
	for size = firstReadBytes; size < n; size *= 2 {
		class++
	}
	return class, size
}

// borrowBuffer gives an empty buffer with room for n bytes at least.
func borrowBuffer(n int) *[]byte {
	class, size := bufferClass(n)
	if class < len(bodyBuffers) {
		if b, ok := bodyBuffers[class].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, 0, size)
	return &b
}

// returnBuffer wipes a buffer and keeps it for another body.
func returnBuffer(b *[]byte) {
	var turns pace.Turns
	turns.Clear(*b)
	*b = (*b)[:0]
	if class, size := bufferClass(cap(*b)); class < len(bodyBuffers) && size == cap(*b) {
		bodyBuffers[class].Put(b)
	}
}

// heldBody is a body in memory: one whose model has to be read.
type heldBody struct {
	buf    *[]byte
	taken  int // of the holder's room
	holder *admission.Holder
	// encoded is the body as it came, if that was compressed.
	encoded      *[]byte
	encodedTaken int
}

var (
	errTooLarge = refuse(codeTooLarge, "the request body is larger than the provider or this gateway accepts")
	errNoMemory = refuse(codeTooManyInFlight, "what this tenant has in flight fills its part of the memory for bodies, large heads and answers (limits.max_buffered_bytes); try again")
	errSlow     = refuse(codeInvalidRequest, "the request body came too slowly")
)

// hold reads a client's whole body, at most limit bytes.
func (h *heldBody) hold(ctx *fasthttp.RequestCtx, limit int64, silence time.Duration, of *admission.Holder) error {
	h.holder = of
	h.buf = borrowBuffer(firstReadBytes)
	if int64(ctx.Request.Header.ContentLength()) > limit {
		return errTooLarge
	}
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return nil
	}
	var p slowness
	var turns pace.Turns
	for first := true; ; first = false {
		if !first { // a short body came with its head, under that limit
			if p.tooSlow(int64(len(*h.buf)), silence) {
				return errSlow
			}
			if err := ctx.SetReadDeadline(time.Now().Add(silence)); err != nil {
				return upstream.ErrRequestBody
			}
		}
		if len(*h.buf) == cap(*h.buf) {
			if err := h.grow(ctx.Request.Header.ContentLength()); err != nil {
				return err
			}
		}
		buf := *h.buf
		n, err := stream.Read(buf[len(buf):min(cap(buf), len(buf)+pace.TurnBytes)])
		*h.buf = buf[:len(buf)+n]
		turns.Passed(n)
		if int64(len(*h.buf)) > limit {
			return errTooLarge
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return bodyError(err)
		}
	}
}

// slowness sees a body that trickles: one that comes slower than leastBytesPerSecond
// for as long as a client may be silent.
type slowness struct {
	since time.Time
	got   int64 // of the body, at that time
}

func (p *slowness) tooSlow(got int64, silence time.Duration) bool {
	now := time.Now()
	passed := now.Sub(p.since)
	if passed < silence {
		return false
	}
	slow := p.since != time.Time{} && float64(got-p.got) < leastBytesPerSecond*passed.Seconds()
	p.since, p.got = now, got
	return slow
}

// grow takes a larger buffer, within the tenant's part of the room: of the length
// that was announced, but not of much more than what came.
func (h *heldBody) grow(announced int) error {
	want := cap(*h.buf) * bufferGrowth
	if announced >= cap(*h.buf) {
		want = min(want, announced+1) // and room to see that nothing follows
	}
	_, size := bufferClass(want)
	if !h.holder.Take(size) {
		return errNoMemory
	}
	h.holder.Give(h.taken)
	h.taken = size
	next := borrowBuffer(size)
	var turns pace.Turns
	*next = turns.Append(*next, *h.buf)
	returnBuffer(h.buf)
	h.buf = next
	return nil
}

// bodyError tells a body that is not what its framing says from a client that
// left.
func bodyError(err error) error {
	var network net.Error
	switch {
	case errors.As(err, &network) && network.Timeout():
		return refuse(codeInvalidRequest, "the request body did not arrive in time")
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return upstream.ErrRequestBody
	}
	return refuse(codeInvalidRequest, "the request body's framing is broken")
}

// replace takes another body in its place: our own question to a model.
func (h *heldBody) replace(b []byte) error {
	_, size := bufferClass(len(b))
	if size > firstReadBytes && !h.holder.Take(size) {
		return errNoMemory
	}
	of := h.holder
	h.release()
	if h.holder = of; size > firstReadBytes {
		h.taken = size
	}
	h.buf = borrowBuffer(len(b))
	*h.buf = append(*h.buf, b...)
	return nil
}

func (h *heldBody) text() wire.Text { return wire.NewText(h.buf) }

func (h *heldBody) release() {
	if h.buf == nil {
		return
	}
	h.holder.Give(h.taken + h.encodedTaken)
	returnBuffer(h.buf)
	if h.encoded != nil {
		returnBuffer(h.encoded)
	}
	*h = heldBody{}
}

// mustHold reports whether a request's body has to be read before it can be
// routed: JSON, or a path whose body is JSON whatever the header says.
func mustHold(h *fasthttp.RequestHeader, d wire.Dialect) bool {
	return d != wire.DialectNone || isJSON(h.ContentType())
}

func isJSON(contentType []byte) bool {
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	contentType = bytes.TrimSpace(contentType)
	return bytes.EqualFold(contentType, []byte("application/json")) ||
		len(contentType) > 5 && bytes.EqualFold(contentType[len(contentType)-5:], []byte("+json"))
}

var errCharset = refuse(codeInvalidRequest, "header Content-Type: a JSON body is read as UTF-8 (RFC 8259), so charset may be utf-8 only; leave it out")

// asUTF8 reports whether whoever believes a Content-Type reads the ASCII in a body as
// UTF-8 has it. In others, such as utf-7, a body could name another model.
func asUTF8(contentType []byte) bool {
	for first := true; len(contentType) > 0; first = false {
		var param []byte
		param, contentType, _ = bytes.Cut(contentType, []byte(";"))
		name, value, _ := bytes.Cut(param, []byte("="))
		if name = bytes.TrimSpace(name); first || len(name) < len("charset") || !bytes.EqualFold(name[:len("charset")], []byte("charset")) {
			continue
		}
		value = bytes.Trim(value, " \t\"'")
		if end := bytes.IndexAny(value, " ,"); end >= 0 {
			value = value[:end]
		}
		if !slices.ContainsFunc(asciiCharsets, func(one string) bool { return strings.EqualFold(one, string(value)) }) {
			return false
		}
	}
	return true
}

// asciiCharsets mean ASCII by each byte below 128. Clients name them for bodies that
// are no more than that; what is beyond it has to be UTF-8.
var asciiCharsets = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252"}

// hasBody reports whether a request brings a body.
func hasBody(h *fasthttp.RequestHeader) bool {
	return h.ContentLength() > 0 || h.ContentLength() == -1
}

// upload is a body that passes through without being held. One goroutine
// copies it; interrupt may be called by another.
type upload struct {
	ctx     *fasthttp.RequestCtx
	silence time.Duration
	most    int64 // bytes; 0 for any
	revoked func() bool
	bytes   int64
	whole   bool  // its end was read
	err     error // why the body could not be read

	mu   sync.Mutex // guards what follows
	over bool       // the copy has ended, or is to end
}

// interrupt ends the wait for a client whose body the provider no longer reads.
func (u *upload) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.over = true
		_ = u.ctx.Conn().SetReadDeadline(time.Unix(1, 0))
	}
}

// patience moves the limit of a wait for the client. It reports false when
// nobody waits for the body any more.
func (u *upload) patience() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.over && u.ctx.SetReadDeadline(time.Now().Add(u.silence)) == nil
}

// interrupted reports whether nobody waits for the body any more.
func (u *upload) interrupted() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.over
}

// end says that the client's connection is no longer the upload's.
func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}

// unread reports whether the client may still be sending.
func (u *upload) unread() bool { return u.ctx != nil && !u.whole }

// reset makes it none. Nobody copies or interrupts it.
func (u *upload) reset() {
	u.ctx, u.revoked, u.bytes, u.whole, u.err, u.over = nil, nil, 0, false, nil, false
}

var uploadBuffers = sync.Pool{New: func() any { b := make([]byte, uploadBufferBytes); return &b }}

// WriteTo copies the body to w as it arrives. The client's silence and slowness
// are bounded, the length of the upload only by the caller's limit.
func (u *upload) WriteTo(w io.Writer) (int64, error) {
	buf := uploadBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool's New
	defer uploadBuffers.Put(buf)
	defer u.end()
	stream := u.ctx.RequestBodyStream()
	var p slowness
	var turns pace.Turns
	for {
		if p.tooSlow(u.bytes, u.silence) {
			u.err = errSlow
			return u.bytes, upstream.ErrRequestBody
		}
		if !u.patience() {
			return u.bytes, upstream.ErrRequestBody
		}
		n, rerr := stream.Read(*buf)
		if u.revoked() { // the provider has not got all of it, and so has done nothing
			u.err = errRevoked
			return u.bytes, upstream.ErrRequestBody
		}
		if n > 0 {
			u.bytes += int64(n)
			turns.Passed(n)
			if u.most > 0 && u.bytes > u.most {
				u.err = errTooLarge
				return u.bytes, upstream.ErrRequestBody
			}
			began := time.Now()
			if _, err := w.Write((*buf)[:n]); err != nil {
				return u.bytes, err
			}
			p.since = p.since.Add(time.Since(began)) // the provider's time, not the client's
		}
		if rerr == io.EOF {
			u.whole = true
			return u.bytes, nil
		}
		if rerr != nil {
			if !u.interrupted() { // or it was our own doing
				u.err = bodyError(rerr)
			}
			return u.bytes, upstream.ErrRequestBody
		}
	}
}

// writeError puts a refusal of ours into the answer.
func writeError(ctx *fasthttp.RequestCtx, body []byte) {
	ctx.Response.SetBody(body)
}

// writeAnswer puts an answer of the memory API into the response.
func writeAnswer(ctx *fasthttp.RequestCtx, body io.WriterTo) {
	_, _ = body.WriteTo(ctx.Response.BodyWriter()) // memory does not fail
}

// holdAnswer puts a part of a short answer into the response.
func holdAnswer(ctx *fasthttp.RequestCtx, p []byte) {
	ctx.Response.AppendBody(p)
}

// streamAnswer hands the response over to a stream of known length, or -1.
func streamAnswer(ctx *fasthttp.RequestCtx, s io.Reader, length int) {
	ctx.Response.SetBodyStream(s, length)
}
