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
	usage, before := r.spent()
	countUsage(&r.record, usage)
	r.record.Settle(r.said(), before)
	if r.begins() {
		ctx, done := context.WithTimeout(context.Background(), deferredTime)
		defer done()
		r.remind(r.g.deferred.Start(ctx, r.work(), r.record.Tokens(), time.Now()))
	}
}

// deferredTime bounds how long a request waits for the list of deferred work. It
// outlives the client: what was used up was used up.
const deferredTime = 2 * time.Second

// said is how many bytes of the answer were the model's.
func (r *request) said() int64 {
	switch {
	case r.record.Streamed:
		return r.scanner.TextBytes()
	case r.begins():
		return 0 // it repeats what it was asked; the result is counted when it is there
	}
	return r.record.ResponseBytes
}

// spent gives what the answer reports as used, if that is of this request. A
// stored answer tells its counts each time it is read: they are counted the
// first time that a result is read which a call through this gateway has begun.
// before is what that call has counted.
func (r *request) spent() (u wire.Usage, before int64) {
	u = r.scanner.Usage()
	switch {
	case r.endpoint.fetches(r.ctx.Request.Header.Method()):
		if r.provider == nil || !r.scanner.Over() || !u.Input.Set && !u.Output.Set {
			return wire.Usage{}, 0
		}
		ctx, done := context.WithTimeout(context.Background(), deferredTime)
		defer done()
		before, first, err := r.g.deferred.Finish(ctx, r.work())
		if r.remind(err); !first {
			return wire.Usage{}, 0
		}
		return u, before
	case r.ctx.IsGet():
		return wire.Usage{}, 0
	}
	return u, 0
}

// begins reports whether the provider works on after this request, on something
// that has a name to fetch it by.
func (r *request) begins() bool {
	return r.provider != nil && r.ctx.IsPost() && (string(r.endpoint.judged) == "/responses" || string(r.endpoint.judged) == "/batches") &&
		r.record.Status >= fasthttp.StatusOK && r.record.Status < fasthttp.StatusMultipleChoices &&
		r.scanner.GoesOn(r.head.Background) && len(r.workID()) > 0
}

// work names what the provider goes on with, or has gone on with. Paths are
// judged without regard to case, so ids are compared in the same way.
func (r *request) work() deferred.Work {
	return deferred.Work{Tenant: r.caller.Tenant.ID, Provider: r.provider.Name, ID: strings.ToLower(string(r.workID()))}
}

func (r *request) workID() []byte {
	if _, rest, ok := cutSegment(r.endpoint.judged); ok && len(rest) > 0 {
		id, _, _ := cutSegment(rest)
		return id
	}
	return r.scanner.ID()
}

// fetches reports whether a call reads, or ends, a response or batch that was
// begun before.
func (e *endpoint) fetches(method []byte) bool {
	of, rest, _ := cutSegment(e.judged)
	if string(of) != "responses" && string(of) != "batches" {
		return false
	}
	id, action, ok := cutSegment(rest)
	return ok && len(id) > 0 && (string(method) == fasthttp.MethodGet && len(action) == 0 || string(method) == fasthttp.MethodPost && bytes.Equal(action, []byte("/cancel")))
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
