package upstream

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// resetSoon is how soon behind the request a reset must come to be taken for
// one of a connection that the provider was closing already. A model takes
// longer to do anything that is billed and then lose its connection.
const resetSoon = time.Second

// lost reports whether a failed request was lost on a connection that its
// provider had closed behind an earlier answer, so that it is sent again, once,
// on a new one. All of this must hold:
//
//   - The connection had served a request before, no byte of an answer has come
//     on it, and no limit has passed.
//   - The body can be written again.
//   - The provider has not worked on it: its kernel has confirmed no byte of the
//     request; or it has reset the connection at once, which is how TCP says that
//     a program closed without having read all of what came (RFC 1122, section
//     4.2.2.13); or the method is idempotent (RFC 9110, section 9.2.2).
//
// net/http's Transport knows the first of the three and the last. It also sends
// again what has an Idempotency-Key; no provider documents that it bills such a
// request once.
func (a *Attempt) lost(r *Request, err error) bool {
	c := a.conn
	if c == nil || !c.reused || r.Interrupt != nil || !errors.Is(err, ErrUnreachable) || c.reader.Buffered() > 0 {
		return false
	}
	return !a.sent || idempotent(r.Method) || CauseOf(err) == CauseReset && time.Since(a.wrote) < resetSoon
}

// idempotent reports whether a request may be repeated by whoever relays it.
func idempotent(method []byte) bool {
	switch string(method) {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions, fasthttp.MethodPut, fasthttp.MethodDelete:
		return true
	}
	return false
}
