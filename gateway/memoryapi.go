package gateway

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// endpointMemory is the memory API in records; what goes on to a model is
// recorded under the model's endpoint.
const endpointMemory = "memory"

// serveMemory answers a call of the memory API. What needs a model goes to the
// tenant's own provider, on the same way as every other request.
func (r *request) serveMemory() error {
	err := r.hold()
	if err != nil {
		return err
	}
	if err := r.again(); err != nil {
		return err
	}
	r.record.RequestBytes, r.record.Endpoint = int64(r.body.text().Len()), endpointMemory
	path, query, _ := bytes.Cut(r.endpoint.forward, []byte("?"))
	h := &r.ctx.Request.Header
	call := api.Call{
		Caller: r.asker(), Method: string(h.Method()), Path: string(path), Query: string(query),
		Key: string(h.Peek("Idempotency-Key")), Bucket: r.caller.Token.Bucket, Access: r.caller.Token, Body: r.body.text(), Room: r.pass.Holder(),
	}
	if call.Dry, err = dryRun(h); err != nil {
		return err
	}
	a := r.g.memory.API.Answer(context.Background(), &call) // outlives the client: a write is finished
	if a.Task != nil {
		return r.runTask(a.Task)
	}
	return r.answerMemory(&a)
}

// answerMemory sends an answer that is there, and ends the request.
func (r *request) answerMemory(a *api.Answer) error {
	if err := r.retrieved(a.Retrieval); err != nil {
		return err
	}
	r.sendMemory(a)
	return nil
}

// sendMemory sends an answer whose search is billed, and ends the request; an
// export ends it when it is sent.
func (r *request) sendMemory(a *api.Answer) {
	if a.Cause != nil {
		r.g.log.Error().Err(a.Cause).Stringer("request_id", r.record.RequestID).Str("tenant", r.caller.Tenant.ID).Msg("memory call failed")
	}
	r.memoryHead(a)
	if a.Export != nil {
		r.relay.export = a.Export
		streamAnswer(r.ctx, &r.relay, -1)
		return
	}
	r.oweAnswer(a.Body.Len())
	writeAnswer(r.ctx, a.Body)
	r.record.ResponseBytes += int64(a.Body.Len())
	outcome := meter.OutcomeCompleted
	if a.Code != "" {
		r.record.ErrorCode = a.Code
		outcome = outcomeOf(code(a.Code))
	}
	r.finish(outcome)
}

func (r *request) memoryHead(a *api.Answer) {
	h := &r.ctx.Response.Header
	r.ctx.SetStatusCode(a.Status)
	h.SetContentType("application/json")
	if a.ContentType != "" {
		h.SetContentType(a.ContentType)
	}
	r.ownHeaders(h)
	if a.Code != "" {
		h.Set("Ownkey-Error", a.Code)
		if lasting(a.Status) {
			h.Set(headerShouldRetry, "false")
		}
	}
	if a.RetryAfter != "" {
		h.Set(fasthttp.HeaderRetryAfter, a.RetryAfter)
	}
	if a.Retrieval.Ran {
		h.SetCanonical(headerMemory, []byte(r.record.Memory.String()))
		h.SetCanonical(headerMemoryBilled, strconv.AppendBool(nil, a.Retrieval.Billable))
	}
	r.record.Status = int64(a.Status)
}

// retrieved bills a search that ran.
func (r *request) retrieved(s api.Retrieval) error {
	if !s.Ran {
		return nil
	}
	r.record.Memory, r.record.MemoryRecalled = meter.MemoryEmpty, int64(s.Found)
	if s.Found > 0 {
		r.record.Memory = meter.MemoryHit
	}
	if !s.Billable {
		return nil
	}
	return r.billRetrieval(s.BucketID)
}

// runTask has the tenant's model answer. The credential comes first: without
// one nothing is searched, and nothing billed.
func (r *request) runTask(task api.Task) error {
	r.task, r.model = task, []byte(task.Model())
	name, _, err := r.providerName()
	if err != nil {
		return err
	}
	if r.provider = r.table.providers[name]; r.provider == nil {
		return refuse(codeUnknownProvider, "the synthesis model's provider does not exist; known are: "+r.table.names)
	}
	if token := r.caller.Token; !token.AllowsModel(name, r.model) {
		return refuse(codeNotAllowed, "the token may not use the synthesis model of this tenant")
	}
	if err := r.unseal(); err != nil {
		return err
	}
	if early := task.Prepare(context.Background()); early.Status != 0 {
		return r.answerMemory(&early)
	}
	if err := r.retrieved(task.Retrieval()); err != nil {
		return err
	}
	if err := r.writePrompt(); err != nil {
		return err
	}
	if err := r.ask(); err != nil {
		return err
	}
	return r.answerTask()
}

// writePrompt puts the question to the model in the place of the client's body.
func (r *request) writePrompt() error {
	p := r.task.Prompt()
	messages := r.provider.speaksMessages()
	body, err := p.Body(messages)
	if err != nil {
		return err
	}
	if err := r.body.replace(body); err != nil {
		return err
	}
	if err := wire.ReadHead(r.body.text(), &r.head); err != nil {
		return err
	}
	r.model = r.head.Model
	_, r.prefix, err = r.providerName()
	if err != nil {
		return err
	}
	r.record.Provider, r.record.ModelAsked, r.record.Endpoint = r.provider.Name, identifier(r.model), p.Dialect(messages).String()
	r.endpoint.forward, r.endpoint.answer = []byte(p.Path(messages)), p.Dialect(messages)
	r.splice(nil)
	return r.reserve()
}

// answerTask turns the model's answer into the task's.
func (r *request) answerTask() error {
	from := &r.attempt.Head
	format := formatOf(from)
	r.scanner.Reset(r.endpoint.answer, format)
	r.scanner.SetRules(r.provider.Usage)
	r.record.ProviderRequestID = providerRequestID(from)
	r.record.ProviderOrganization = providerOrganization(from)
	if status := from.StatusCode(); status >= fasthttp.StatusBadRequest {
		return modelRefused(status, from)
	}
	r.task.Begin(r.endpoint.answer, format)
	if r.task.Prompt().Stream {
		r.streamTask(format)
		return nil
	}
	for {
		p, err := r.attempt.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		r.scanner.Write(p)
		r.task.Relay(p)
	}
	r.scanner.Finish()
	if !r.scanner.Ended() {
		return &refusal{code: codeUpstreamInvalid, message: "the answer of the tenant's model was not whole JSON", noRetry: true}
	}
	a := r.task.Finish(context.Background(), r.scanner.Usage())
	a.Retrieval = r.task.Retrieval()
	r.sendMemory(&a)
	return nil
}

// streamTask leaves the model's answer to the relay, which sends what the task
// makes of it.
func (r *request) streamTask(format wire.Format) {
	a := api.Answer{Status: fasthttp.StatusOK, ContentType: sseType + "; charset=utf-8", Retrieval: r.task.Retrieval()}
	r.memoryHead(&a)
	h := &r.ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "no-cache")
	h.Set("X-Accel-Buffering", "no")
	r.lease.Release()
	r.relay.sse, r.relay.task = format == wire.FormatSSE, r.task
	r.ctx.Response.ImmediateHeaderFlush = true
	streamAnswer(r.ctx, &r.relay, -1)
}

// modelRefused is the answer when the tenant's model said no. Its words stay
// with the provider's own interface.
func modelRefused(status int, h *fasthttp.ResponseHeader) *refusal {
	switch status {
	case fasthttp.StatusTooManyRequests:
		why := refuse(codeRateLimited, "the provider of the tenant's model limits its calls; try again later")
		if after := h.Peek(fasthttp.HeaderRetryAfter); len(after) > 0 && len(identifier(after)) == len(after) {
			why.retryAfter = string(after)
		}
		return why
	case fasthttp.StatusUnauthorized, fasthttp.StatusForbidden:
		return refuse(codeCredentialUnusable, "the provider does not accept the tenant's credential (status "+strconv.Itoa(status)+
			"); store another: ownkey credential put")
	}
	return refuse(codeUpstreamInvalid, "the tenant's model answered with status "+strconv.Itoa(status)+
		"; the model that is asked is set by: ownkey tenant update --synthesis-model")
}

// speaksMessages reports whether a provider is asked in Anthropic's dialect.
func (p *Provider) speaksMessages() bool { return p.Name == anthropic }
