package gateway

import (
	"errors"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/upstream"
)

// enter applies what the caller may use, as far as the head tells. It may wait
// for room.
func (r *request) enter() error {
	if err := r.served(); err != nil {
		return err
	}
	if why := r.g.admission.Enter(&r.pass, &r.caller, r.record.Start); why != nil {
		return limited(why, r.record.Start)
	}
	if why := r.pass.Body(r.record.RequestBytes); why != nil {
		return limited(why, r.record.Start)
	}
	return r.own()
}

// served refuses the calls of a tenant or token that an operator has stopped.
func (r *request) served() error {
	if r.caller.Tenant.Suspended() {
		return errSuspended
	}
	if r.caller.Token.Stopped() {
		return refuse(codeTokenStopped, "this token was stopped by an operator or by the guard against runaway spending; "+
			"to let it go on: ownkey token resume")
	}
	return nil
}

// again judges the caller as it stands now. A body may come for hours, and a place
// may be waited for: a token that has ended meanwhile begins nothing, and whatever
// else has changed counts as it is.
func (r *request) again() error {
	caller, err := r.g.directory.CallerOf(r.caller.Tenant.ID, r.caller.Token.ID, time.Now())
	if errors.Is(err, directory.ErrNotFound) {
		return directory.ErrInvalidToken
	}
	if err != nil {
		return err
	}
	r.caller = caller
	if err := r.permit(); err != nil {
		return err
	}
	return r.served()
}

// own charges the request's head to its tenant, if it is a large one, and
// refuses what is answered from memory where too many answers wait to be read.
func (r *request) own() error {
	holder := r.pass.Holder()
	if conn, ok := r.ctx.Conn().(*front.Conn); ok && !conn.ChargeHead(holder) {
		return errNoMemory
	}
	if (r.endpoint.reserved() || r.endpoint.usage()) && holder.Full() {
		return errNoMemory
	}
	return nil
}

// errSuspended holds for every call of the tenant, whatever its token may do.
var errSuspended = &refusal{code: codeNotAllowed, message: "this tenant is suspended by the gateway's operator; " +
	"ask the operator to let it go on (ownkey tenant resume)", noRetry: true}

// revoked reports whether a request in flight may no longer go on.
func (g *Gateway) revoked(e *watched) bool {
	return g.directory.Revoked(e.tenant, e.token, e.credential)
}

// revoked reports whether the request may no longer go on.
func (r *request) revoked() bool {
	credential := ""
	if r.stored != nil {
		credential = r.stored.ID
	}
	return r.g.directory.Revoked(r.caller.Tenant.ID, r.caller.Token.ID, credential)
}

var errRevoked = &refusal{
	code: codeRevoked, message: "the token, its tenant or the credential was revoked while the call was running", noRetry: true,
}

// canceled tells why an attempt was canceled: the client has left, unless the
// call was cut.
func (r *request) canceled(err error) error {
	if errors.Is(err, upstream.ErrCanceled) && r.watching && r.g.watcher.wasCut(&r.watched) {
		return errRevoked
	}
	return err
}

// reserve sets aside what the call may use up: its body, and the answer that it
// asks for.
func (r *request) reserve() error {
	return r.setAside(meter.EstimateTokens(r.record.RequestBytes) + r.head.MaxTokens)
}

// setAside is reserve for so many tokens. What an upload will use nobody can say
// before: with none, it begins when nothing is owed.
func (r *request) setAside(tokens int64) error {
	now := time.Now()
	if why := r.pass.Reserve(tokens, r.head.Stream, now); why != nil {
		return limited(why, now)
	}
	return nil
}

// openStream takes the place of a stream, if the answer is one that the body has not
// asked for: a form or a query has, or the provider streams unasked.
func (r *request) openStream() error {
	why := r.pass.Stream()
	if why == nil {
		return nil
	}
	refused := limited(why, time.Now())
	refused.noRetry = r.billable()
	return refused
}

// limited says which limit a client has met, and when to come again. A budget
// has no Retry-After: agents would sleep until midnight.
func limited(why *admission.Refusal, now time.Time) *refusal {
	if why.Unknown {
		return refuse(codeStoreUnavailable, "what this "+why.Scope+" has spent is not known yet; try again")
	}
	out := refuse(codeRateLimited, "the "+why.Scope+"'s limit "+why.Limit+" is reached; Retry-After says when to try again")
	out.after = why.After
	switch why.Limit {
	case admission.RequestsInFlight, admission.Streams:
		out.code = codeTooManyInFlight
		if why.Scope == admission.ScopeGateway {
			out.message = "too many requests are in flight; try again"
		}
	case admission.BodyBytes:
		return refuse(codeTooLarge, "the request body is larger than the "+why.Scope+"'s limit body_bytes")
	case admission.TokensPerDay, admission.TokensPerMonth:
		out.code, out.noRetry, out.after = codeBudgetExhausted, true, 0
		out.message = "the " + why.Scope + "'s budget " + why.Limit + " is spent; it returns at " +
			now.Add(why.After).UTC().Round(time.Second).Format(time.RFC3339) + ", or when an operator raises it: ownkey " + why.Scope + " update --limit"
	}
	return out
}

// headerLimits has one item for each limit that the caller has: its name, whose
// it is, how much of it there is and how much is left, and the seconds until
// all of it is there again (the manner of draft-ietf-httpapi-ratelimit-headers,
// which has no word for the rest).
var headerLimits = []byte("Ownkey-Ratelimit")

func appendStandings(dst []byte, all []admission.Standing) []byte {
	for i := range all {
		s := &all[i]
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, s.Limit...)
		dst = append(dst, ";scope="...)
		dst = append(dst, s.Scope...)
		dst = append(dst, ";limit="...)
		dst = strconv.AppendFloat(dst, s.Most, 'f', -1, 64)
		dst = append(dst, ";remaining="...)
		dst = strconv.AppendInt(dst, s.Left, 10)
		dst = append(dst, ";reset="...)
		dst = strconv.AppendFloat(dst, s.Reset.Seconds(), 'f', 3, 64)
	}
	return dst
}

// wholeSeconds is a wait as Retry-After has it: never shorter than it is.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
