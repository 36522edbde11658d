package gateway

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/deferred"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// count takes over what the answer says of itself, and settles what limits and
// budgets count for the request. The record's outcome is decided.
func (r *request) count() {
	if r.record.Counted.Set {
		return // it is settled, by an end that did not come to its own
	}
	r.record.ModelServed = string(r.scanner.Model())
	r.record.Events = r.scanner.Events()
	s := r.spent()
	countUsage(&r.record, s.usage)
	r.record.Settle(s.asked, s.said, s.before)
	if r.begins() {
		ctx, done := context.WithTimeout(context.Background(), deferredTime)
		defer done()
		r.remind(r.g.deferred.Start(ctx, r.work(), r.record.Tokens(), time.Now()))
	}
}

// deferredTime bounds how long a request waits for the list of deferred work. It
// outlives the client: what was used up was used up.
const deferredTime = 2 * time.Second

// spending is what a request has used up: what its answer reports, and the bytes
// that stand in where it does not.
type spending struct {
	usage       wire.Usage
	asked, said int64 // bytes for, and of, a model
	before      int64 // tokens that earlier requests have counted for the same work
}

// spent gives what this request is to count. A stored answer tells its counts each
// time it is read, which is not spending; but for the results of work that was
// begun through this gateway.
func (r *request) spent() spending {
	if of := r.endpoint.fetches(r.ctx.Request.Header.Method()); of != nil {
		return r.fetched(of)
	}
	if r.ctx.IsGet() {
		return spending{}
	}
	s := spending{usage: r.scanner.Usage(), asked: r.record.RequestBytes, said: r.record.ResponseBytes}
	if r.record.Streamed {
		s.said = r.scanner.TextBytes()
	}
	switch {
	case !r.record.Streamed && r.begins():
		s.said = 0 // it repeats what it was asked; the result is counted when it is there
	case r.record.Endpoint != wire.DialectNone.String():
	case !r.record.Streamed && !r.scanner.Unfinished():
		s.asked, s.said = 0, 0 // who knows whether a model was asked; what is reported counts
	case r.upload.ctx != nil || r.form, !r.attempt.Sent():
		s.asked = 0
	}
	return s
}

// fetched gives what the result of work counts, or a part of it: once, whoever
// reads it.
func (r *request) fetched(of *workPath) (s spending) {
	inPart := r.record.Status == fasthttp.StatusPartialContent
	if r.provider == nil || r.record.Status != fasthttp.StatusOK && !inPart {
		return s
	}
	ctx, done := context.WithTimeout(context.Background(), deferredTime)
	defer done()
	usage := r.scanner.Usage()
	over, told := r.scanner.Over() || of.once && r.scanner.Ended(), usage.Input.Set || usage.Output.Set
	if over && (told || of.text) && !inPart {
		before, first, err := r.g.deferred.Finish(ctx, r.work())
		if r.remind(err); first {
			s = spending{usage: usage, before: before}
		}
		if first && !told {
			s.said = r.record.ResponseBytes
		}
		return s
	}
	part := int64(0)
	if r.record.Streamed {
		part = r.scanner.TextBytes()
	} else if r.scanner.Unfinished() || inPart || of.lines && r.ctx.IsGet() {
		part = r.record.ResponseBytes
	}
	if part > 0 {
		known, err := r.g.deferred.Progress(ctx, r.work(), meter.EstimateTokens(part))
		if r.remind(err); known {
			s.said = part
		}
	}
	return s
}

// workPath is where work that goes on is begun, and fetched below it.
type workPath struct {
	path string
	// once: the result is there when it is read, and says nothing of a status.
	once bool
	// text: the answer has the model's words, which count where it tells no usage.
	text bool
	// lines: the result is a JSON value on each line.
	lines  bool
	result string // what stands behind the id of a result
}

// workPaths are the ways in which providers go on (references of OpenAI, Anthropic
// and xAI, 2026-11).
var workPaths = []workPath{
	{path: "/messages/batches", once: true, lines: true, result: "/results"},
	{path: "/chat/deferred-completion", once: true},
	{path: "/responses", text: true},
	{path: "/batches"},
}

// workOf finds the work that a path is about, if it is. Some providers have more
// before it (Azure's /openai/responses).
func (e *endpoint) workOf() (of *workPath, id, action []byte) {
	for i := range workPaths {
		of = &workPaths[i]
		at := bytes.Index(e.judged, []byte(of.path))
		if at < 0 {
			continue
		}
		if rest := e.judged[at+len(of.path):]; len(rest) == 0 || rest[0] == '/' {
			id, action, _ = cutSegment(rest)
			return of, id, action
		}
	}
	return nil, nil, nil
}

// begins reports whether the provider works on after this request, on something
// that has a name to fetch it by.
func (r *request) begins() bool {
	if r.provider == nil || !r.ctx.IsPost() || r.record.Status < fasthttp.StatusOK || r.record.Status >= fasthttp.StatusMultipleChoices {
		return false
	}
	if bytes.HasSuffix(r.endpoint.judged, []byte("/chat/completions")) {
		usage := r.scanner.Usage()
		return len(r.scanner.DeferredID()) > 0 && !usage.Input.Set && !usage.Output.Set
	}
	of, id, _ := r.endpoint.workOf()
	return of != nil && len(id) == 0 && r.scanner.GoesOn(r.head.Background) && len(r.scanner.ID()) > 0
}

// work names what the provider goes on with, or has gone on with. Paths are
// judged without regard to case, so ids are compared in the same way.
func (r *request) work() deferred.Work {
	_, id, _ := r.endpoint.workOf()
	if len(id) == 0 {
		if id = r.scanner.ID(); len(id) == 0 {
			id = r.scanner.DeferredID()
		}
	}
	return deferred.Work{Tenant: r.caller.Tenant.ID, Provider: r.provider.Name, ID: strings.ToLower(string(id))}
}

// fetches gives the work whose result a call reads, or which it ends.
func (e *endpoint) fetches(method []byte) *workPath {
	of, id, action := e.workOf()
	if of == nil || len(id) == 0 {
		return nil
	}
	if string(method) == fasthttp.MethodGet && string(action) == of.result || string(method) == fasthttp.MethodPost && string(action) == "/cancel" {
		return of
	}
	return nil
}

// scanned gives the format that an answer is followed in.
func (r *request) scanned(format wire.Format, from *fasthttp.ResponseHeader) wire.Format {
	of := r.endpoint.fetches(r.ctx.Request.Header.Method())
	if of != nil && of.lines && r.ctx.IsGet() && len(from.ContentEncoding()) == 0 {
		return wire.FormatLines
	}
	return format
}

// remind logs that the list of deferred work cannot be used: its tokens are not
// counted, or not yet.
func (r *request) remind(err error) {
	if err != nil {
		r.g.log.Error().Err(err).Stringer("request_id", r.record.RequestID).Str("tenant", r.caller.Tenant.ID).Msg("work that a provider goes on with is not counted")
	}
}

// countUsage takes over what the provider has reported of itself.
func countUsage(r *meter.Record, u wire.Usage) {
	r.InputTokens = meter.Count(u.Input)
	r.OutputTokens = meter.Count(u.Output)
	r.CachedTokens = meter.Count(u.CachedInput)
	r.CacheWrites = meter.Count(u.CacheWrite)
	r.ReasoningTokens = meter.Count(u.Reasoning)
	if !u.Input.Set && !u.Output.Set {
		return
	}
	r.UsageSource = meter.UsageProvider
	if r.Outcome != meter.OutcomeCompleted {
		r.UsageSource = meter.UsagePartial
	}
}
