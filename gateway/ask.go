package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// maxAskedBytes bounds the answer to a question of our own. 64 vectors of 3,072
// numbers are some 4 MiB of JSON.
const maxAskedBytes = 32 << 20

// asking is a call that the gateway makes for a tenant without a client that
// waits: for vectors and facts. It is recorded like any other, since the
// provider will bill it.
type asking struct {
	g        *Gateway
	caller   directory.Caller // whoever caused it; without a token, the tenant
	table    *table
	provider *Provider
	stored   *directory.Credential
	head     wire.Head
	body     wire.Body
	attempt  upstream.Attempt
	scanner  wire.Scanner
	own      admission.Own
	entered  bool
	record   meter.Record
}

// Ask implements memory.Provider: it sends a JSON body to the tenant's own
// provider, on the tenant's own credential, and gives the answer. What limits the
// token that caused it limits it as well: its list of models, its budgets and the
// tenant's.
func (g *Gateway) Ask(ctx context.Context, who memory.Caller, path string, body []byte) ([]byte, error) {
	if g.journal.Admit() != nil {
		return nil, &memory.AskError{Status: fasthttp.StatusServiceUnavailable, Code: string(codeLedgerFull), Unasked: true}
	}
	defer g.journal.Leave()
	a := asking{g: g, table: g.table.Load()}
	a.record.Start = time.Now()
	a.record.RequestID = meter.NewEventID()
	a.record.EventID, a.record.TenantID, a.record.TokenID = a.record.RequestID, who.Tenant, who.Token
	a.record.Endpoint, a.record.RequestBytes = wire.DialectOf([]byte(path)).String(), int64(len(body))
	answer, err := a.run(ctx, who, path, body)
	if err != nil {
		err = a.failed(err)
	}
	now := time.Now()
	a.attempt.End(now)
	a.record.TotalTime = now.Sub(a.record.Start)
	a.record.Settle(a.record.RequestBytes, a.record.ResponseBytes, 0)
	if a.entered {
		a.own.Leave(a.record.Tokens(), now)
	}
	g.metrics.ownEnded(&a.record)
	g.keep(&a.record)
	return answer, err
}

// failed says what a failure means for whoever would ask again.
func (a *asking) failed(err error) error {
	a.record.ErrorCause = causeOf(err)
	if no, ok := errors.AsType[*memory.AskError](err); ok {
		no.Final = final(no.Status)
		return no
	}
	why := refusalOf(err, a.attempt.Sent())
	a.record.ErrorCode, a.record.Outcome = string(why.code), outcomeOf(why.code)
	return &memory.AskError{
		Status: answers[why.code].status, Code: string(why.code), RetryAfter: why.after,
		Unasked: a.record.Attempt == 0, Final: (why.code == codeNotAllowed && why != errSuspended) || why.code == codeInvalidRequest,
	}
}

// tooEarly is RFC 8470's status, which fasthttp has no name for.
const tooEarly = 425

// final reports whether a provider would answer the same call with the same
// status again: what is wrong is the call, or the account.
func final(status int) bool {
	switch status {
	case fasthttp.StatusRequestTimeout, fasthttp.StatusConflict, tooEarly, fasthttp.StatusTooManyRequests:
		return false
	}
	return status >= fasthttp.StatusBadRequest && status < fasthttp.StatusInternalServerError
}

func (a *asking) run(ctx context.Context, who memory.Caller, path string, body []byte) ([]byte, error) {
	if err := a.identify(who); err != nil {
		return nil, err
	}
	if err := a.route(path, body); err != nil {
		return nil, err
	}
	if err := a.enter(); err != nil {
		return nil, err
	}
	target, err := a.table.target(a.provider, a.stored)
	if err != nil {
		return nil, err
	}
	ref := refOf(a.stored, target)
	began := time.Now()
	lease, err := a.g.credentials.Credential(ctx, &ref)
	a.record.UnsealTime = time.Since(began)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	a.record.CredentialID, a.record.Fingerprint = a.stored.ID, a.stored.Fingerprint
	a.record.KeyVersion, a.record.UnsealID, a.record.CacheHit = int64(lease.Version()), lease.UnsealID(), lease.Hit
	a.record.Attempt = 1
	if err := a.g.journal.Open(&a.record); err != nil {
		return nil, refuse(codeLedgerFull, "the ledger of records can not be written")
	}
	asked := time.Now()
	a.attempt.Begin(target, asked)
	defer context.AfterFunc(ctx, a.attempt.Cancel)()
	header := appendField([]byte(ownRequestHeader), "OpenAI-Organization", a.stored.Organization)
	header = appendField(header, "OpenAI-Project", a.stored.Project)
	//nolint:contextcheck // Cancel, above, is how an attempt hears of ctx
	err = a.attempt.Send(&upstream.Request{
		Method: []byte(fasthttp.MethodPost), Path: []byte(path), Header: header,
		CredentialHeader: a.provider.CredentialHeader, Credential: &lease, Body: &a.body, BodyBytes: int64(a.body.Len()),
	})
	a.record.FirstByteTime = time.Since(asked)
	if err != nil {
		return nil, err
	}
	return a.answer(path)
}

// identify finds whoever caused the call. A token that was revoked since then
// causes nothing more.
func (a *asking) identify(who memory.Caller) (err error) {
	a.caller, err = a.g.directory.CallerOf(who.Tenant, who.Token, a.record.Start)
	switch {
	case errors.Is(err, directory.ErrInvalidToken):
		return refuse(codeNotAllowed, "the token that caused this call can no longer be used")
	case err != nil:
		return err
	case a.caller.Tenant.Suspended():
		return errSuspended
	case a.caller.Token != nil && a.caller.Token.Stopped():
		return refuse(codeTokenStopped, "the token that caused this call is stopped")
	}
	return nil
}

// enter judges the budgets and tokens per minute that the call would spend.
func (a *asking) enter() error {
	tokens := meter.EstimateTokens(a.record.RequestBytes) + a.head.MaxTokens
	if why := a.g.admission.EnterOwn(&a.own, &a.caller, tokens, a.record.Start); why != nil {
		return limited(why, a.record.Start)
	}
	a.entered = true
	return nil
}

// route finds the provider and the credential for the model that a body names.
func (a *asking) route(path string, body []byte) error {
	t := a.caller.Tenant
	text := wire.NewText(&body)
	if err := wire.ReadHead(text, &a.head); err != nil {
		return err
	}
	name, prefix := a.table.providerFor(t, a.head.Model, path == "/messages")
	if a.provider = a.table.providers[name]; a.provider == nil {
		return errNoProvider
	}
	a.record.Provider, a.record.ModelAsked = name, identifier(a.head.Model[prefix:])
	a.body = wire.NewBody(text)
	if prefix > 0 {
		a.body = wire.NewBody(text, a.head.StripModelPrefix(prefix))
	}
	if token := a.caller.Token; token != nil && !token.AllowsModel(name, a.head.Model[prefix:]) {
		return refuse(codeNotAllowed, "the token that caused this call may not use this model")
	}
	var err error
	if a.stored, err = a.caller.Credential(name, ""); errors.Is(err, directory.ErrNotAllowed) {
		return refuse(codeNotAllowed, "the token that caused this call may not use the credential")
	} else if err != nil {
		return refuse(codeCredentialMissing, "this tenant has no credential for provider "+name)
	}
	return nil
}

// answer reads the provider's answer to its end.
func (a *asking) answer(path string) ([]byte, error) {
	from := &a.attempt.Head
	a.scanner.Reset(wire.DialectOf([]byte(path)), wire.FormatJSON)
	a.scanner.SetRules(a.provider.Usage)
	a.record.Status = int64(from.StatusCode())
	a.record.ProviderRequestID, a.record.ProviderOrganization = providerRequestID(from), providerOrganization(from)
	var all bytes.Buffer
	for {
		p, err := a.attempt.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if all.Len()+len(p) > maxAskedBytes {
			return nil, upstream.ErrInvalid
		}
		a.record.ResponseBytes += int64(len(p))
		a.scanner.Write(p)
		all.Write(p)
	}
	a.scanner.Finish()
	if a.attempt.EndedByClose() && a.scanner.Unfinished() {
		return nil, upstream.ErrTruncated
	}
	a.record.Outcome = meter.OutcomeCompleted
	a.record.ModelServed = string(a.scanner.Model())
	countUsage(&a.record, a.scanner.Usage())
	if status := from.StatusCode(); status >= fasthttp.StatusBadRequest {
		seconds, _ := strconv.Atoi(string(from.Peek(fasthttp.HeaderRetryAfter))) // a date, or nothing: our own patience counts
		return nil, &memory.AskError{Status: status, RetryAfter: time.Duration(max(0, seconds)) * time.Second}
	}
	return all.Bytes(), nil
}

// SpeaksMessages implements memory.Provider.
func (g *Gateway) SpeaksMessages(tenant, model string) bool {
	t, err := g.directory.Tenant(tenant)
	if err != nil {
		return false
	}
	now := g.table.Load()
	name, _ := now.providerFor(t, []byte(model), false)
	p := now.providers[name]
	return p != nil && p.speaksMessages()
}
