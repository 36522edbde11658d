package upstream

import (
	"io"
	"sync"

	"github.com/ownkey/ownkey/internal/fault"
	"github.com/valyala/fasthttp"
)

// How an answer's end is known.
const (
	framedByLength = iota
	framedByChunks
	framedByClose
)

// framing knows where in the connection's bytes the answer is.
type framing struct {
	kind     int
	left     int64 // framedByLength: bytes still to come
	chunks   chunkedReader
	ended    bool // the end was seen, as announced
	reusable bool // the connection may serve another request after the end
}

// begin reads the framing from an answer's head (RFC 9112, section 6.3).
func (f *framing) begin(h *fasthttp.ResponseHeader, head bool) {
	*f = framing{reusable: !h.ConnectionClose()}
	status, length := h.StatusCode(), h.ContentLength()
	switch {
	case head || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified:
		f.ended = true
	case length == -1:
		f.kind = framedByChunks
	case length >= 0:
		f.left = int64(length)
		f.ended = length == 0
	default:
		f.kind, f.reusable = framedByClose, false
	}
}

// take finds the next body bytes in the region of bytes that have arrived. It
// returns how many of them stand at the region's front, ready to be lent, and
// how many of the region are used up; chunked bodies are unframed in place.
func (f *framing) take(region []byte) (ready, used int) {
	switch f.kind {
	case framedByLength:
		n := int(min(int64(len(region)), f.left))
		f.left -= int64(n)
		f.ended = f.left == 0
		return n, n
	case framedByChunks:
		ready, used = f.chunks.unframe(region)
		f.ended = f.chunks.ended()
		return ready, used
	default:
		return len(region), len(region)
	}
}

// remaining is how many body bytes are known to follow in one run.
func (f *framing) remaining() int64 {
	switch f.kind {
	case framedByLength:
		return f.left
	case framedByChunks:
		return f.chunks.left
	default:
		return 0
	}
}

// consumed accounts for n body bytes that were read past the buffer.
func (f *framing) consumed(n int64) {
	if f.kind == framedByLength {
		f.left -= n
		f.ended = f.left == 0
		return
	}
	f.chunks.consumed(n)
}

// BodyBytes is the length that the answer announced, or -1.
func (a *Attempt) BodyBytes() int64 {
	if a.body.kind != framedByLength {
		return -1
	}
	return a.body.left
}

// EndedByClose reports whether the answer's end was the connection's: nobody
// said how long it would be, so a cut looks like an end.
func (a *Attempt) EndedByClose() bool { return a.body.ended && a.body.kind == framedByClose }

// Ended reports whether the answer was read to its announced end.
func (a *Attempt) Ended() bool { return a.body.ended }

const (
	// largeBufferBytes is what a long run is read in: an eighth of the system
	// calls that the small buffer would take.
	largeBufferBytes = 32 << 10
	// largeFrom is the run from which the large buffer is worth its memory.
	largeFrom = 16 << 10
)

// largeBuffers lend the buffers for long runs. An attempt holds one only while
// a run lasts, so an idle stream holds none.
var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBufferBytes); return &b }}

// Next gives the next run of the answer's body, as soon as there is any. The
// bytes are lent until the following Next or End. io.EOF comes after the last;
// ErrTruncated, ErrTimeout, ErrInvalid or ErrCanceled in place of it.
func (a *Attempt) Next() ([]byte, error) {
	fault.At("upstream.next")
	a.giveBack()
	for {
		switch {
		case a.body.ended:
			return nil, io.EOF
		case a.body.chunks.broken():
			return nil, fail(ErrInvalid, CauseBadResponse)
		}
		r := a.conn.reader
		if r.Buffered() == 0 {
			if a.body.remaining() >= largeFrom {
				return a.nextLarge()
			}
			if err := a.wait(); err != nil {
				return nil, err
			}
		}
		region, _ := r.Peek(r.Buffered())
		ready, used := a.body.take(region)
		if ready > 0 {
			a.lent = used
			return region[:ready], nil
		}
		_, _ = r.Discard(used)
	}
}

func (a *Attempt) giveBack() {
	if a.lent > 0 {
		_, _ = a.conn.reader.Discard(a.lent)
		a.lent = 0
	}
	if a.large != nil && a.body.remaining() < largeFrom {
		largeBuffers.Put(a.large)
		a.large = nil
	}
}

// wait reads from the connection until at least one byte is buffered.
func (a *Attempt) wait() error {
	if err := a.conn.stream.SetReadDeadline(a.deadline(a.target.Limits.Idle)); err != nil {
		return a.failed(err, ErrTruncated, CauseIdleTimeout)
	}
	_, err := a.conn.reader.Peek(1)
	return a.readError(err)
}

// nextLarge reads the middle of a long run around the small buffer, which is
// empty.
func (a *Attempt) nextLarge() ([]byte, error) {
	if err := a.conn.stream.SetReadDeadline(a.deadline(a.target.Limits.Idle)); err != nil {
		return nil, a.failed(err, ErrTruncated, CauseIdleTimeout)
	}
	if a.large == nil {
		a.large = largeBuffers.Get().(*[]byte) //nolint:forcetypeassert // the pool's New
	}
	p := (*a.large)[:min(int64(largeBufferBytes), a.body.remaining())]
	n, err := a.conn.reader.Read(p)
	a.body.consumed(int64(n))
	if n > 0 {
		return p[:n], nil
	}
	return nil, a.readError(err)
}

// readError judges what ended a read: an end of the connection is the end of
// the answer only where nothing else was announced.
func (a *Attempt) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF && a.body.kind == framedByClose:
		a.body.ended = true
		return io.EOF
	}
	return a.failed(err, ErrTruncated, CauseIdleTimeout)
}
