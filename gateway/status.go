package gateway

import (
	"errors"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// code is one of the gateway's errors, as docs/errors.md lists them.
type code string

const (
	codeInvalidToken         code = "invalid_token"
	codeNotAllowed           code = "not_allowed"
	codeCredentialMissing    code = "credential_missing"
	codeCredentialUnusable   code = "credential_unusable"
	codeInvalidRequest       code = "invalid_request"
	codeUnknownProvider      code = "unknown_provider"
	codeNotFound             code = "not_found"
	codeNotSupported         code = "not_supported"
	codeUpgradeNotOffered    code = "upgrade_not_offered"
	codeTooLarge             code = "too_large"
	codeTooManyInFlight      code = "too_many_requests_in_flight"
	codeRateLimited          code = "rate_limited"
	codeBudgetExhausted      code = "budget_exhausted"
	codeTokenStopped         code = "token_stopped"
	codeRevoked              code = "revoked"
	codeUpstreamUnreachable  code = "upstream_unreachable"
	codeUpstreamInvalid      code = "upstream_invalid"
	codeUpstreamTruncated    code = "upstream_truncated"
	codeUpstreamTimeout      code = "upstream_timeout"
	codeVaultUnavailable     code = "vault_unavailable"
	codeStoreUnavailable     code = "store_unavailable"
	codeLedgerFull           code = "ledger_full"
	codeDraining             code = "draining"
	codeInternal             code = "internal_error"
	codeClientGone           code = "client_gone" // never sent: there is nobody to read it
	statusClientClosedNotice      = 499           // nginx's number for a client that left; only in records
)

// answer is how a code looks to a client.
type answer struct {
	status int
	// anthropic is the error's type on Anthropic's paths (provider
	// documentation, "Errors", 2026-11).
	anthropic string
	// retryAfter is sent as Retry-After, in seconds; empty for none.
	retryAfter string
}

var answers = map[code]answer{
	codeInvalidToken:        {fasthttp.StatusUnauthorized, "authentication_error", ""},
	codeNotAllowed:          {fasthttp.StatusForbidden, "permission_error", ""},
	codeCredentialMissing:   {fasthttp.StatusPreconditionFailed, "invalid_request_error", ""},
	codeCredentialUnusable:  {fasthttp.StatusPreconditionFailed, "invalid_request_error", ""},
	codeInvalidRequest:      {fasthttp.StatusBadRequest, "invalid_request_error", ""},
	codeUnknownProvider:     {fasthttp.StatusBadRequest, "invalid_request_error", ""},
	codeNotFound:            {fasthttp.StatusNotFound, "not_found_error", ""},
	codeNotSupported:        {fasthttp.StatusNotImplemented, "invalid_request_error", ""},
	codeUpgradeNotOffered:   {fasthttp.StatusUpgradeRequired, "invalid_request_error", ""},
	codeTooLarge:            {fasthttp.StatusRequestEntityTooLarge, "request_too_large", ""},
	codeBudgetExhausted:     {fasthttp.StatusForbidden, typeQuota, ""},
	codeTokenStopped:        {fasthttp.StatusForbidden, "permission_error", ""},
	codeRevoked:             {fasthttp.StatusForbidden, "permission_error", ""},
	codeRateLimited:         {fasthttp.StatusTooManyRequests, "rate_limit_error", "1"},
	codeTooManyInFlight:     {fasthttp.StatusTooManyRequests, "rate_limit_error", "1"},
	codeUpstreamUnreachable: {fasthttp.StatusBadGateway, "api_error", ""},
	codeUpstreamInvalid:     {fasthttp.StatusBadGateway, "api_error", ""},
	codeUpstreamTruncated:   {fasthttp.StatusBadGateway, "api_error", ""},
	codeUpstreamTimeout:     {fasthttp.StatusGatewayTimeout, "timeout_error", ""},
	codeVaultUnavailable:    {fasthttp.StatusServiceUnavailable, "api_error", "2"},
	codeStoreUnavailable:    {fasthttp.StatusServiceUnavailable, "api_error", "2"},
	codeLedgerFull:          {fasthttp.StatusServiceUnavailable, "api_error", "5"},
	codeDraining:            {fasthttp.StatusServiceUnavailable, "overloaded_error", "1"},
	codeInternal:            {fasthttp.StatusInternalServerError, "api_error", ""},
	codeClientGone:          {statusClientClosedNotice, "api_error", ""},
}

// lasting reports whether the same call gets the same answer until somebody
// changes something. SDKs are told not to repeat it: some would for minutes,
// without a word to their user.
func lasting(status int) bool {
	return status == fasthttp.StatusUnauthorized || status == fasthttp.StatusForbidden || status == fasthttp.StatusPreconditionFailed
}

// refusal is an error that a client gets from us. Its message is made of
// constants and of names from our own tables, never of what a client sent, so
// it needs no escaping in JSON.
type refusal struct {
	code    code
	message string
	// noRetry tells SDKs not to repeat the call: the provider may already have
	// billed it.
	noRetry bool
	// retry tells them that it never reached the provider.
	retry bool
	// retryAfter is sent in place of the code's own, in seconds.
	retryAfter string
	// after is likewise, where it is known to the millisecond.
	after time.Duration
}

// Error makes a refusal an error of the request path.
func (r *refusal) Error() string { return string(r.code) + ": " + r.message }

func refuse(c code, message string) *refusal { return &refusal{code: c, message: message} }

// refusalOf is the one place where an error becomes a code and a public
// sentence. The error's own text goes nowhere.
func refusalOf(err error, sent bool) *refusal {
	var own *refusal
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &syntax) && syntax.Form:
		return refuse(codeInvalidRequest, "the token may use only certain models, and the request body is not a form whose model can be read: "+syntax.Error()+
			"; or have the path allowed: ownkey token update --endpoint")
	case errors.As(err, &syntax):
		return refuse(codeInvalidRequest, "the request body is not usable JSON: "+syntax.Error())
	case errors.Is(err, directory.ErrInvalidToken):
		// Claude Code shows "Not logged in" for an error that names its header x-api-key.
		return refuse(codeInvalidToken, "the token is not valid; send a tenant token (ok_...) as Authorization: Bearer, or as the API key of an SDK")
	case errors.Is(err, directory.ErrUnavailable):
		return refuse(codeStoreUnavailable, "the tenant store can not be reached; try again")
	case errors.Is(err, vaultbridge.ErrUnavailable):
		return refuse(codeVaultUnavailable, "the key store can not be reached; try again")
	case errors.Is(err, vaultbridge.ErrUnsealable):
		return refuse(codeCredentialUnusable, "the stored credential does not open for this tenant, provider and host; store it again")
	case errors.Is(err, upstream.ErrCanceled), errors.Is(err, upstream.ErrRequestBody):
		return refuse(codeClientGone, "the client left")
	case errors.Is(err, upstream.ErrExhausted):
		return &refusal{code: codeTooManyInFlight, message: "this gateway has no descriptors left for another connection; try again", retry: true}
	case errors.Is(err, upstream.ErrTimeout):
		return &refusal{code: codeUpstreamTimeout, message: "the provider timed out (" + causeOf(err).String() + ")", noRetry: sent}
	case errors.Is(err, upstream.ErrInvalid):
		return &refusal{code: codeUpstreamInvalid, message: "the provider's answer was not valid HTTP", noRetry: sent}
	case errors.Is(err, upstream.ErrTruncated):
		return &refusal{code: codeUpstreamTruncated, message: "the provider's answer was cut short", noRetry: sent}
	case errors.Is(err, upstream.ErrForbidden):
		return refuse(codeCredentialUnusable, "the credential's base URL leads to an address that is not public; the operator can allow it (egress.allow)")
	case errors.Is(err, upstream.ErrUnreachable):
		return unreachable(upstream.CauseOf(err), sent)
	}
	return refuse(codeInternal, "the gateway failed; its log has the request id")
}

// The types of errors in OpenAI's shape. A spent budget has OpenAI's own, in
// Anthropic's shape, too: agents know it as an end, and not as a pause.
const (
	typeOwn   = "ownkey_error"
	typeQuota = "insufficient_quota"
)

// unreachable is the refusal for a provider that gave no response.
func unreachable(why upstream.Cause, sent bool) *refusal {
	r := &refusal{code: codeUpstreamUnreachable, message: "the provider cannot be reached (" + why.String() + ")", noRetry: sent}
	switch {
	case sent:
		r.message = "the provider closed the connection without a response (" + why.String() + "); it may have worked on the request"
	case !why.Lasting():
		r.retry = true
	}
	return r
}

// causeOf says why the provider failed, as records do.
func causeOf(err error) meter.ErrorCause { return meter.ErrorCause(upstream.CauseOf(err)) }

// appendError appends the refusal in the shape that the dialect's SDKs parse.
func (r *refusal) appendError(dst []byte, d wire.Dialect, requestID string) []byte {
	if d == wire.DialectMessages {
		dst = append(dst, `{"type":"error","error":{"type":"`...)
		dst = append(dst, answers[r.code].anthropic...)
		dst = append(dst, `","message":"`...)
		dst = append(dst, r.message...)
		dst = append(dst, `","code":"`...)
		dst = append(dst, r.code...)
		dst = append(dst, `"},"request_id":"`...)
		dst = append(dst, requestID...)
		return append(dst, `"}`...)
	}
	dst = append(dst, `{"error":{"message":"`...)
	dst = append(dst, r.message...)
	dst = append(dst, `","type":"`...)
	if r.code == codeBudgetExhausted {
		dst = append(dst, typeQuota...)
	} else {
		dst = append(dst, typeOwn...)
	}
	dst = append(dst, `","param":null,"code":"`...)
	dst = append(dst, r.code...)
	return append(dst, `"}}`...)
}

// appendPlain appends the refusal as clients of the memory API read it.
func (r *refusal) appendPlain(dst []byte) []byte {
	dst = append(dst, `{"error":"`...)
	dst = append(dst, r.message...)
	dst = append(dst, `","code":"`...)
	dst = append(dst, r.code...)
	return append(dst, `"}`...)
}

// appendEvent appends the refusal as the last event of a stream. partial says
// that an unfinished event stands before it, which is ended first.
func (r *refusal) appendEvent(dst []byte, d wire.Dialect, requestID string, partial bool) []byte {
	if partial {
		dst = append(dst, "\n\n"...)
	}
	if d == wire.DialectMessages {
		dst = append(dst, "event: error\n"...)
	}
	dst = append(dst, "data: "...)
	dst = r.appendError(dst, d, requestID)
	return append(dst, "\n\n"...)
}
