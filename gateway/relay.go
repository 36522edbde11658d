package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// heldAnswerBytes is the largest answer that is read to its end before the
// client gets its head: it is then sent in one write, with a record already
// kept, and a cut becomes a clean status.
const heldAnswerBytes = 64 << 10

// answer turns the provider's head into ours and sends its body: held when it
// is short, as a stream otherwise.
func (r *request) answer() error {
	from := &r.attempt.Head
	format := formatOf(from)
	if format == wire.FormatSSE {
		if err := r.openStream(); err != nil {
			return err
		}
	}
	r.scanner.Reset(r.endpoint.answer, r.scanned(format, from))
	r.scanner.SetRules(r.provider.Usage)
	r.record.Status = int64(from.StatusCode())
	r.record.Streamed = format == wire.FormatSSE
	r.record.ProviderRequestID = providerRequestID(from)
	r.record.ProviderOrganization = providerOrganization(from)

	r.naming = r.beginsResponse()
	r.listen(format)
	isHead := r.ctx.IsHead()
	switch {
	case isHead || r.attempt.Ended():
		r.answerHead(format)
		if isHead {
			r.ctx.Response.SkipBody = true
			r.ctx.Response.Header.SetContentLength(from.ContentLength())
		}
		r.scanner.Finish()
		r.finish(meter.OutcomeCompleted)
		return nil
	case format != wire.FormatSSE && r.attempt.BodyBytes() >= 0 && r.attempt.BodyBytes() <= heldAnswerBytes && r.roomForAnswer(int(r.attempt.BodyBytes())):
		return r.answerHeld(format)
	}
	return r.answerStream(format)
}

// roomForAnswer takes room for an answer that is held until it is written. A
// short one needs none: so much each request has.
func (r *request) roomForAnswer(n int) bool {
	conn, ok := r.ctx.Conn().(*front.Conn)
	if n <= firstReadBytes || !ok {
		return true
	}
	if !r.pass.Holder().Take(n) {
		return false
	}
	conn.GiveWhenWritten(r.pass.Holder(), n)
	return true
}

// oweAnswer counts an answer that is in memory already, until it is written.
// Nothing new is begun for a tenant that holds too many of them.
func (r *request) oweAnswer(n int) {
	if conn, ok := r.ctx.Conn().(*front.Conn); ok && n > firstReadBytes {
		r.pass.Holder().Owe(n)
		conn.GiveWhenWritten(r.pass.Holder(), n)
	}
}

// answerHead writes the status and the headers that may pass.
func (r *request) answerHead(format wire.Format) {
	ctx := r.ctx
	ctx.SetStatusCode(r.attempt.Head.StatusCode())
	h := &ctx.Response.Header
	r.lease.Use(func(secret []byte) {
		location := copyAnswerHeader(h, &r.attempt.Head, r.provider.responseHeaders(), func(value []byte) bool { return bytes.Contains(value, secret) })
		if location == nil {
			return
		}
		if to := locationFor(string(location), r.attempt.Target(), r.provider.Name, r.endpoint.forward); to != "" {
			h.Set(fasthttp.HeaderLocation, to)
		}
	})
	if format == wire.FormatOpaque { // no page of a provider's runs under our name
		h.SetCanonical(headerNoSniff, noSniff)
	}
	r.lease.Release() // a stream may go on for an hour; its secret need not
	r.ownHeaders(h)
	if format == wire.FormatSSE {
		h.Set(fasthttp.HeaderCacheControl, "no-cache")
		h.Set("X-Accel-Buffering", "no")
	}
}

// answerHeld reads a short answer to its end and leaves it to be sent.
func (r *request) answerHeld(format wire.Format) error {
	for {
		p, err := r.attempt.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		r.saw(p)
		holdAnswer(r.ctx, p)
	}
	r.answerHead(format)
	r.scanner.Finish()
	r.finish(meter.OutcomeCompleted)
	return nil
}

// answerStream leaves the body to the relay, which fasthttp calls after the
// handler has returned.
func (r *request) answerStream(format wire.Format) error {
	length := -1
	if n := r.attempt.BodyBytes(); n >= 0 && format != wire.FormatSSE {
		length = int(n)
	}
	r.answerHead(format)
	r.relay.sse = format == wire.FormatSSE
	r.ctx.Response.ImmediateHeaderFlush = r.relay.sse
	streamAnswer(r.ctx, &r.relay, length)
	return nil
}

// saw lets the scanner follow the answer.
func (r *request) saw(p []byte) {
	r.record.ResponseBytes += int64(len(p))
	r.scanner.Write(p)
	if r.naming {
		r.noteResponse()
	}
	if r.memory != nil && r.memory.listening {
		r.memory.said.Write(p)
	}
}

// formatOf tells how an answer's body is to be followed.
func formatOf(h *fasthttp.ResponseHeader) wire.Format {
	if len(h.ContentEncoding()) > 0 {
		return wire.FormatOpaque
	}
	ct := h.ContentType()
	switch {
	case len(ct) >= len(sseType) && bytes.EqualFold(ct[:len(sseType)], []byte(sseType)):
		return wire.FormatSSE
	case isJSON(ct):
		return wire.FormatJSON
	}
	return wire.FormatOpaque
}

const sseType = "text/event-stream"

// relay carries an answer from the attempt to the client as it arrives. It is
// fasthttp's body stream: WriteTo does the work, Close ends the request.
type relay struct {
	r       *request
	sse     bool
	task    api.Task    // in place of the provider's bytes, the client gets what it makes of them
	export  *api.Export // in place of an attempt
	over    bool        // the end was decided; outcome holds it
	outcome meter.Outcome
	turns   pace.Turns
	written time.Time    // when the client's write limit was last moved
	rest    bytes.Buffer // not yet taken by Read
	failed  error        // what Read says when that is taken
}

// errCut ends the connection: what the client has is not the whole answer.
var errCut = errors.New("answer cut")

// SupportsBodyWriteTo tells fasthttp to use WriteTo, which flushes each run.
func (s *relay) SupportsBodyWriteTo() bool { return true }

// WriteTo relays until the answer's end. Each run of bytes that arrived is
// passed on at once.
func (s *relay) WriteTo(w io.Writer) (total int64, err error) {
	defer s.recoverTo(w, &err)
	for !s.over {
		n, err := s.pass(w)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// pass relays the next bytes, or ends the relay.
func (s *relay) pass(w io.Writer) (int, error) {
	if s.export != nil {
		return s.passExport(w)
	}
	p, err := s.r.attempt.Next()
	if err != nil {
		return 0, s.end(w, err)
	}
	s.r.saw(p)
	s.turns.Passed(len(p))
	s.extend()
	if s.task != nil {
		return s.send(w, s.task.Relay(p))
	}
	n, err := w.Write(p)
	if err != nil {
		s.close(s.leftOutcome())
	}
	return n, err
}

// passExport sends the next part of an export. One that breaks off is cut: its
// client never sees the end of a whole one.
func (s *relay) passExport(w io.Writer) (int, error) {
	part, err := s.export.Next(context.Background())
	if err == io.EOF {
		s.close(meter.OutcomeCompleted)
		return 0, nil
	}
	if err != nil {
		s.r.record.ErrorCode = api.CodeOf(err)
		s.close(outcomeOf(code(s.r.record.ErrorCode)))
		return 0, errCut
	}
	s.extend()
	n, err := s.send(w, part)
	s.r.record.ResponseBytes += int64(n)
	return n, err
}

// send writes what a task has made.
func (s *relay) send(w io.Writer, b api.Body) (int, error) {
	if b.Len() == 0 {
		return 0, nil
	}
	n, err := b.WriteTo(w)
	if err != nil {
		s.close(s.leftOutcome())
	}
	return int(n), err
}

// Read gives the answer to the ways of fasthttp that do not take WriteTo.
func (s *relay) Read(p []byte) (n int, err error) {
	defer s.recoverTo(&s.rest, &err)
	for s.rest.Len() == 0 && s.failed == nil {
		if s.over {
			return 0, io.EOF
		}
		_, s.failed = s.pass(&s.rest)
	}
	if s.rest.Len() == 0 {
		return 0, s.failed
	}
	return s.rest.Read(p)
}

// extend moves the limit on a write to a client that does not read. Once a
// second is enough for a limit of many.
func (s *relay) extend() {
	now := time.Now()
	if now.Sub(s.written) < time.Second {
		return
	}
	s.written = now
	_ = s.r.ctx.Conn().SetWriteDeadline(now.Add(s.r.g.timeouts.ClientWrite))
}

// end judges why there are no more bytes. A stream that did not really end
// gets an error event and a closed connection: never a clean end.
func (s *relay) end(w io.Writer, err error) error {
	r := s.r
	if err == io.EOF {
		r.scanner.Finish()
		err = nil
		if s.sse || r.cutShort() {
			err = upstream.ErrTruncated
		}
	}
	if err == nil || s.sse && r.scanner.Ended() {
		s.close(s.wholeOutcome())
		if s.task == nil {
			return nil
		}
		_, err := s.send(w, s.task.Finish(context.Background(), r.scanner.Usage()).Body)
		return err
	}
	if err = r.canceled(err); errors.Is(err, upstream.ErrCanceled) {
		s.close(meter.OutcomeClientCancelled)
		return errCut
	}
	why := refusalOf(err, true)
	r.record.ErrorCode, r.record.ErrorCause = string(why.code), causeOf(err)
	s.close(outcomeOf(why.code))
	if s.task != nil {
		_, _ = api.StreamError(why.message).WriteTo(w)
		return errCut
	}
	if s.sse {
		why.message = brokenStream + why.message
		event := why.appendEvent(r.header[:0], r.endpoint.answer, r.record.RequestID.String(), !r.scanner.BetweenEvents())
		_, _ = w.Write(event)
	}
	return errCut
}

// brokenStream begins the message of the event that ends a broken stream. Agents
// that repeat a call when its connection breaks know by words in the message
// whether to do the same here: pi looks for "connection error", Continue for
// "premature close" (docs/errors.md).
const brokenStream = "connection error (premature close): "

// cutShort reports whether an answer that ended with its connection, and so
// could not say how long it was, is JSON that did not end.
func (r *request) cutShort() bool { return r.attempt.EndedByClose() && r.scanner.Unfinished() }

// leftOutcome is the outcome of a client that is gone: SDKs close as soon as
// they have seen the last event, which is a normal end.
func (s *relay) leftOutcome() meter.Outcome {
	if s.sse && s.r.scanner.Ended() {
		return s.wholeOutcome()
	}
	return meter.OutcomeClientCancelled
}

// wholeOutcome is the outcome of an answer that was relayed to its real end,
// which may be the provider's own word that it failed.
func (s *relay) wholeOutcome() meter.Outcome {
	if s.sse && s.r.scanner.Failed() {
		return meter.OutcomeUpstreamError
	}
	return meter.OutcomeCompleted
}

func (s *relay) close(o meter.Outcome) { s.over, s.outcome = true, o }

// Close is called by fasthttp exactly once, after the last byte or a failure.
func (s *relay) Close() error {
	defer s.recoverFinish()
	if s.export != nil {
		s.export.Close()
	}
	if !s.over {
		s.close(s.leftOutcome()) // the client was gone before the first write
	}
	s.r.finish(s.outcome)
	return nil
}
