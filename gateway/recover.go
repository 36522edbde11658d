package gateway

import (
	"io"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/meter"
	"github.com/valyala/fasthttp"
)

// recover turns a panic into a 500 and a log line with the place, not the
// value: a value could hold anything.
func (g *Gateway) recover(r *request, ctx *fasthttp.RequestCtx) {
	if recover() == nil {
		return
	}
	g.tellBug(r)
	ctx.SetConnectionClose()
	defer func() { // a second bug, while the first one is answered
		if recover() != nil {
			g.tellBug(r)
		}
	}()
	r.refuse(refuse(codeInternal, "the gateway failed; its log has the request id"))
}

func (g *Gateway) tellBug(r *request) {
	g.log.Error().Stringer("request_id", r.record.RequestID).Strs("at", crash.Places()).Msg("request failed by a bug")
}

// recoverTo ends a stream that a bug of ours has broken: an error event, and
// the connection is cut. fasthttp calls the relay outside of the handler, and
// recovers nothing.
func (s *relay) recoverTo(w io.Writer, err *error) {
	if recover() == nil {
		return
	}
	s.r.g.tellBug(s.r)
	s.r.record.ErrorCode = string(codeInternal)
	s.close(meter.OutcomeInternalError)
	*err = errCut
	if s.sse && s.task == nil {
		why := refuse(codeInternal, "the gateway failed; its log has the request id")
		_, _ = w.Write(why.appendEvent(nil, s.r.endpoint.answer, s.r.record.RequestID.String(), true))
	}
}

// recoverFinish keeps a bug at a request's end to that request.
func (s *relay) recoverFinish() {
	if recover() != nil {
		s.r.g.tellBug(s.r)
	}
}
