package gateway

import (
	"io"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/meter"
)

// recover turns a panic into a 500 and a log line with the place, not the
// value: a value could hold anything.
func (r *request) recover() {
	if recover() == nil {
		return
	}
	r.tellBug()
	ctx := r.ctx
	r.refuse(refuse(codeInternal, "the gateway failed; its log has the request id"))
	ctx.SetConnectionClose()
}

func (r *request) tellBug() {
	r.g.log.Error().Stringer("request_id", r.record.RequestID).Strs("at", crash.Places()).Msg("request failed by a bug")
}

// recoverTo ends a stream that a bug of ours has broken: an error event, and
// the connection is cut. fasthttp calls the relay outside of the handler, and
// recovers nothing.
func (s *relay) recoverTo(w io.Writer, err *error) {
	if recover() == nil {
		return
	}
	s.r.tellBug()
	s.r.record.ErrorCode = string(codeInternal)
	s.close(meter.OutcomeInternalError)
	if s.sse && s.task == nil {
		why := refuse(codeInternal, "the gateway failed; its log has the request id")
		_, _ = w.Write(why.appendEvent(nil, s.r.endpoint.answer, s.r.record.RequestID.String(), true))
	}
	*err = errCut
}

// recoverFinish keeps a bug at a request's end to that request.
func (s *relay) recoverFinish() {
	if recover() != nil {
		s.r.tellBug()
	}
}
