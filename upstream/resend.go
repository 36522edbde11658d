package upstream

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// resetSoon is how soon behind the request a reset must come to be taken for
// one of a connection that the provider was closing already: so TCP says that a
// program closed without having read all of what came (RFC 1122, section
// 4.2.2.13). No model does anything that is billed in that time.
const resetSoon = 10 * time.Millisecond

// lost reports whether a failed request was lost on a connection that its
// provider had closed behind an earlier answer, so that it is sent again, once,
// on a new one. All of this must hold:
//
//   - The connection had served a request before, no byte of an answer has come
//     on it, and no limit has passed.
//   - The body can be written again.
//   - The provider has not worked on it: it has closed the connection, and its
//     kernel has confirmed no byte of the request; or it has reset the connection
//     within resetSoon; or the method is idempotent (RFC 9110, section 9.2.2).
//     A later reset proves nothing, whatever the kernel has confirmed.
//
// net/http's Transport knows the first and the last. It also sends
// again what has an Idempotency-Key; no provider documents that it bills such a
// request once.
func (a *Attempt) lost(r *Request, err error) bool {
	c := a.conn
	if c == nil || !c.reused || r.Interrupt != nil || !errors.Is(err, ErrUnreachable) || c.reader.Buffered() > 0 {
		return false
	}
	return !a.sent || idempotent(r.Method)
}

// idempotent reports whether a request may be repeated by whoever relays it.
func idempotent(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions, fasthttp.MethodPut, fasthttp.MethodDelete:
		return true
	}
	return false
}
