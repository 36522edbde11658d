package gateway

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// request is one client call, from its head to its record. It is used by the
// connection's goroutine; only the attempt's Cancel is called by the watcher.
type request struct {
	g   *Gateway
	ctx *fasthttp.RequestCtx
	// table is what the whole request goes by, whatever is applied meanwhile.
	table *table

	endpoint endpoint
	caller   directory.Caller
	body     heldBody
	upload   upload
	form     bool // the body is a form, held for its model
	head     wire.Head
	model    []byte    // without the provider's prefix; borrows body
	prefix   wire.Edit // cuts the provider's prefix out of the model
	outgoing wire.Body
	memory   *remembering // nil: memory is off
	task     api.Task     // of the memory API, to be done by the tenant's model
	provider *Provider
	stored   *directory.Credential
	ref      vaultbridge.Ref
	lease    vaultbridge.Lease
	header   []byte // lines for the provider, then scratch for ours
	send     upstream.Request
	attempt  upstream.Attempt
	asked    time.Time // when the attempt began
	watched  watched
	watching bool
	scanner  wire.Scanner
	relay    relay
	admitted bool // room in the ledger is taken
	naming   bool // the response that the token begins has no name yet
	kept     bool // the record is written
	// misdirected is why the path leads nowhere.
	misdirected error
	pass        admission.Pass
	record      meter.Record
}

var requests = sync.Pool{New: func() any {
	r := &request{}
	r.watched.gone = r.attempt.Cancel
	r.relay.r = r
	return r
}}

// handle is the way of every request. An error anywhere becomes an answer of
// ours; from relay on, the answer is the provider's.
func (g *Gateway) handle(ctx *fasthttp.RequestCtx) {
	if g.health(ctx) {
		return
	}
	r := requests.Get().(*request) //nolint:forcetypeassert // the pool's New
	defer g.recover(r, ctx)
	r.begin(g, ctx)
	if err := r.serve(); err != nil {
		err = r.canceled(err)
		r.record.ErrorCause = causeOf(err)
		r.refuse(refusalOf(err, r.billable()))
	}
}

func (r *request) serve() error {
	fault.At("gateway.serve")
	if err := r.authenticate(); err != nil {
		return err
	}
	if err := r.admit(); err != nil {
		return err
	}
	if err := r.permit(); err != nil {
		return err
	}
	if err := r.enter(); err != nil {
		return err
	}
	switch {
	case r.endpoint.usage():
		return r.tellUsage()
	case r.endpoint.reserved():
		return r.serveMemory()
	}
	if err := r.read(); err != nil {
		return err
	}
	if err := r.again(); err != nil {
		return err
	}
	if err := r.planMemory(); err != nil {
		return err
	}
	if err := r.route(); err != nil {
		return err
	}
	if err := r.unseal(); err != nil {
		return err
	}
	if err := r.remember(); err != nil {
		return err
	}
	if err := r.ask(); err != nil {
		return err
	}
	return r.answer()
}

func (r *request) begin(g *Gateway, ctx *fasthttp.RequestCtx) {
	r.g, r.ctx, r.table = g, ctx, g.table.Load()
	r.record.Start = time.Now()
	r.record.RequestID = meter.NewEventID()
	r.record.EventID = r.record.RequestID
	r.record.RequestBytes = max(0, int64(ctx.Request.Header.ContentLength()))
	r.record.SDK, r.record.SDKRetries = sdk(&ctx.Request.Header)
}

// admit refuses what the gateway can not carry through to its record.
func (r *request) admit() error {
	if r.g.journal.Admit() != nil {
		return refuse(codeLedgerFull, "the ledger of records is full; try again")
	}
	r.admitted = true
	return nil
}

// authenticate finds the tenant by the token. Before that nothing is taken for
// the request: no room in the ledger, no place, none of its body.
func (r *request) authenticate() error {
	if r.g.draining.Load() {
		return refuse(codeDraining, "this gateway is stopping; try again")
	}
	r.misdirected = parseEndpoint(r.ctx.Request.Header.RequestURI(), &r.endpoint)
	r.endpoint.versioned = !r.endpoint.reserved() && len(r.ctx.Request.Header.Peek("Anthropic-Version")) > 0
	r.record.Endpoint = r.endpoint.request.String()
	caller, err := r.g.directory.Authenticate(bearer(&r.ctx.Request.Header), r.record.Start)
	r.record.AuthTime = time.Since(r.record.Start) // with the reading of the path
	if err != nil {
		return err
	}
	r.caller = caller
	r.record.TenantID, r.record.TokenID = caller.Tenant.ID, caller.Token.ID
	return nil
}

// permit judges what is asked for, as far as the head says it.
func (r *request) permit() error {
	if err := r.checkOrigin(); err != nil {
		return err
	}
	switch {
	case r.misdirected != nil:
		return r.misdirected
	case !passes(r.ctx.Request.Header.Method()):
		return errMethod
	case asksForWebSocket(&r.ctx.Request.Header):
		return errNoWebSocket
	case !r.caller.Token.AllowsScope(r.endpoint.scope()):
		return refuse(codeNotAllowed, "the token's scopes do not include "+r.endpoint.scope())
	}
	return nil
}

// read takes in a body that has to be read, and finds its model.
func (r *request) read() error {
	h := &r.ctx.Request.Header
	if !hasBody(h) {
		return nil
	}
	r.form = r.readsForm()
	if !r.form && !mustHold(h, r.endpoint.request) {
		if err := r.setAside(0); err != nil {
			return err
		}
		r.upload.ctx, r.upload.silence, r.upload.most, r.upload.revoked = r.ctx, r.g.timeouts.ClientSilence, r.pass.MaxBody(), r.revoked
		return nil
	}
	if err := r.hold(); err != nil {
		return err
	}
	r.record.RequestBytes = int64(r.body.text().Len())
	if r.record.RequestBytes == 0 { // announced, and then there was none
		r.body.release()
		return nil
	}
	if r.form { // it is not counted in tokens, as no upload is
		if err := wire.ReadForm(r.body.text(), h.ContentType(), &r.head); err != nil {
			return err
		}
		r.model = r.head.Model
		return r.setAside(0)
	}
	if !asUTF8(h.ContentType()) {
		return errCharset
	}
	readHead := wire.ReadHead
	if r.endpoint.request == wire.DialectNone {
		readHead = wire.ReadAnyHead
	}
	if err := readHead(r.body.text(), &r.head); err != nil {
		return err
	}
	r.model = r.head.Model
	return r.reserve()
}

// hold reads the body into memory, as far as the caller, the provider and the
// gateway allow.
func (r *request) hold() error {
	limit := r.table.bodyLimit(r.endpoint.provider)
	if own := r.pass.MaxBody(); own > 0 {
		limit = min(limit, own)
	}
	if err := r.body.hold(r.ctx, limit, r.g.timeouts.ClientSilence, r.pass.Holder()); err != nil {
		return err
	}
	return r.body.decode(r.ctx.Request.Header.ContentEncoding(), limit)
}

// unseal gets the tenant's own credential for the provider. There is no other
// to fall back to.
func (r *request) unseal() error {
	label := r.ctx.Request.Header.Peek("Ownkey-Credential")
	stored, err := r.caller.Credential(r.provider.Name, string(label))
	if err != nil {
		return r.credentialError(err)
	}
	target, err := r.table.target(r.provider, stored)
	if err != nil {
		return err
	}
	began := time.Now()
	r.stored = stored
	r.ref = refOf(stored, target)
	r.lease, err = r.g.credentials.Credential(context.Background(), &r.ref) // outlives the client: others may wait for it
	r.record.UnsealTime = time.Since(began)
	if err != nil {
		return err
	}
	r.record.CredentialID, r.record.Fingerprint = stored.ID, stored.Fingerprint
	r.record.KeyVersion, r.record.UnsealID, r.record.CacheHit = int64(r.lease.Version()), r.lease.UnsealID(), r.lease.Hit
	r.asked = began.Add(r.record.UnsealTime)
	r.attempt.Begin(target, r.asked)
	return nil
}

// refOf binds a stored credential to the address that is about to be dialed,
// not to the one that its row claims.
func refOf(c *directory.Credential, t *upstream.Target) vaultbridge.Ref {
	address := t.Address
	if c.Address == "" {
		address = t.HostPort // of a row from before; target has looked at the rest
	}
	return vaultbridge.Ref{
		Bound: vaultbridge.Bound{
			Context: vaultbridge.Context{Tenant: c.TenantID, CredentialID: c.ID, Provider: c.Provider, Address: address},
			Blob:    c.Sealed,
			Key:     c.Key,
		},
		Keyring:    c.Keyring,
		Generation: c.Generation,
	}
}

// ask sends the request to the provider and waits for the answer's head. From
// here on the client's socket is watched.
func (r *request) ask() error {
	h := &r.ctx.Request.Header
	if r.task != nil {
		r.header = append(r.header[:0], ownRequestHeader...)
	} else {
		encoded := r.body.asItCame(&r.outgoing)
		r.header = appendRequestHeader(r.header[:0], h, r.provider.requestHeaders(), r.body.buf != nil && !encoded)
	}
	r.header = appendField(r.header, "OpenAI-Organization", r.stored.Organization)
	r.header = appendField(r.header, "OpenAI-Project", r.stored.Project)
	r.send = upstream.Request{
		Method:           h.Method(),
		Path:             r.endpoint.forward,
		Header:           r.header,
		CredentialHeader: r.provider.CredentialHeader,
		Credential:       &r.lease,
	}
	switch {
	case r.body.buf != nil:
		r.send.Body, r.send.BodyBytes = &r.outgoing, int64(r.outgoing.Len())
	case r.upload.ctx != nil:
		r.send.Body, r.send.BodyBytes, r.send.Interrupt = &r.upload, int64(h.ContentLength()), r.upload.interrupt
	}
	r.record.Attempt, r.record.Streamed = 1, r.head.Stream // what is asked for, until there is an answer
	if err := r.g.journal.Open(&r.record); err != nil {
		return refuse(codeLedgerFull, "the ledger of records can not be written; try again")
	}
	r.watch()
	err := r.attempt.Send(&r.send)
	r.record.FirstByteTime = time.Since(r.asked)
	if r.upload.ctx != nil {
		r.record.RequestBytes = r.upload.bytes
	}
	r.body.release()
	if err != nil && r.upload.err != nil {
		return r.upload.err
	}
	if r.upload.unread() {
		r.ctx.SetConnectionClose() // the provider has answered early; what the client still sends is nobody's
	}
	return err
}

func (r *request) watch() {
	conn, ok := r.ctx.Conn().(*front.Conn)
	if !ok {
		return
	}
	r.watched.fd, r.watched.cut = conn.FD(), false
	r.watched.tenant, r.watched.token, r.watched.credential = r.caller.Tenant.ID, r.caller.Token.ID, r.stored.ID
	r.g.watcher.add(&r.watched)
	r.watching = true
}

// refuse answers with an error of ours and ends the request.
func (r *request) refuse(why *refusal) {
	ctx := r.ctx
	ctx.Response.Reset()
	ctx.SetStatusCode(answers[why.code].status)
	ctx.SetContentType("application/json")
	h := &ctx.Response.Header
	h.Set("Ownkey-Error", string(why.code))
	if after := cmp.Or(why.retryAfter, answers[why.code].retryAfter); why.after > 0 {
		h.Set(fasthttp.HeaderRetryAfter, wholeSeconds(why.after))
		h.Set("Retry-After-Ms", strconv.FormatInt(why.after.Milliseconds()+1, 10)) // OpenAI's SDKs read it first
	} else if after != "" {
		h.Set(fasthttp.HeaderRetryAfter, after)
	}
	switch {
	case why.noRetry || lasting(answers[why.code].status):
		h.Set(headerShouldRetry, "false")
	case why.retry:
		h.Set(headerShouldRetry, "true")
	}
	if why.code == codeUpgradeNotOffered { // RFC 9110, section 15.5.22: what is spoken here instead
		h.Set(fasthttp.HeaderUpgrade, "HTTP/1.1")
		h.Set(fasthttp.HeaderConnection, "Upgrade")
	}
	r.ownHeaders(h)
	switch {
	case r.endpoint.reserved():
		writeError(ctx, why.appendPlain(r.header[:0]))
	case r.endpoint.anthropicErrors():
		writeError(ctx, why.appendError(r.header[:0], wire.DialectMessages, r.record.RequestID.String()))
	default:
		writeError(ctx, why.appendError(r.header[:0], r.endpoint.request, r.record.RequestID.String()))
	}
	if why.code == codeClientGone {
		ctx.SetConnectionClose()
	}
	r.record.ErrorCode, r.record.Status = string(why.code), int64(answers[why.code].status)
	r.finish(outcomeOf(why.code))
}

// outcomeOf says how a request that we answered ourselves ended.
func outcomeOf(c code) meter.Outcome {
	switch c {
	case codeClientGone, codeRevoked:
		return meter.OutcomeClientCancelled
	case codeUpstreamTimeout:
		return meter.OutcomeUpstreamTimeout
	case codeUpstreamTruncated:
		return meter.OutcomeUpstreamTruncated
	case codeUpstreamInvalid, codeUpstreamUnreachable:
		return meter.OutcomeUpstreamError
	case codeInternal:
		return meter.OutcomeInternalError
	default:
		return meter.OutcomeRefused
	}
}

// finish ends the request, whatever its end was, with exactly one record. It is
// safe to reach twice: a step that has been done is not done again, so that
// after a bug in the middle the rest is made up for. The request may be
// another's when it returns.
func (r *request) finish(outcome meter.Outcome) {
	r.unwatch()
	fault.At("gateway.finish")
	r.record.Outcome = outcome
	r.count()
	r.keepTurn(outcome)
	now := time.Now()
	r.pass.Leave(r.record.Tokens(), now)
	r.attempt.End(now)
	r.lease.Release()
	r.body.release()
	r.record.TotalTime = now.Sub(r.record.Start)
	r.keep()
	r.reset()
	requests.Put(r)
}

// unwatch lets the watcher go on without this request.
func (r *request) unwatch() {
	if r.watching {
		r.watching = false
		r.g.watcher.remove(&r.watched)
	}
}

// keep writes the record of a caller that is known, and counts any other.
func (r *request) keep() {
	if r.kept {
		return
	}
	r.kept = true
	r.g.metrics.ended(&r.record)
	if r.caller.Token == nil {
		r.g.metrics.refused[code(r.record.ErrorCode)].Inc()
		r.g.stranger(r.ctx, code(r.record.ErrorCode))
		return
	}
	if !r.admitted && r.g.journal.Admit() != nil {
		return // a full ledger has no room to say so
	}
	defer r.g.journal.Leave()
	r.g.keep(&r.record)
}

// billable reports whether the provider may have worked, and bill, for a request
// that failed.
func (r *request) billable() bool {
	return r.attempt.Sent() && !r.ctx.IsGet() && !r.ctx.IsHead()
}

// reset forgets everything of the request but its buffers.
func (r *request) reset() {
	r.g, r.ctx, r.table, r.provider, r.stored = nil, nil, nil, nil, nil
	r.endpoint, r.caller, r.outgoing = endpoint{}, directory.Caller{}, wire.Body{}
	r.upload.reset()
	r.form = false
	r.model, r.prefix, r.task, r.watching, r.admitted, r.kept, r.misdirected, r.pass = nil, wire.Edit{}, nil, false, false, false, nil, admission.Pass{}
	r.naming = false
	r.ref, r.lease, r.send, r.record = vaultbridge.Ref{}, vaultbridge.Lease{}, upstream.Request{}, meter.Record{}
	r.head.Reset()
	r.scanner.Reset(wire.DialectNone, wire.FormatOpaque)
	r.relay = relay{r: r}
}
