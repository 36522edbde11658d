package gateway

import (
	"bytes"
	"context"

	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/meter"
	"github.com/valyala/fasthttp"
)

// tellUsage answers what the token's tenant has used. No provider is asked.
func (r *request) tellUsage() error {
	if !r.ctx.IsGet() {
		return refuse(codeNotSupported, "usage can only be read: GET /v1/usage")
	}
	_, query, _ := bytes.Cut(r.endpoint.forward, []byte("?"))
	asking, done := r.whileThere()
	status, failed, body := r.g.usage(asking, r.caller.Tenant.ID, string(query))
	gone := asking.Err() != nil
	if done(); gone {
		return refuse(codeClientGone, "the client left")
	}
	h, outcome := &r.ctx.Response.Header, meter.OutcomeCompleted
	r.ctx.SetStatusCode(status)
	r.ctx.SetContentType("application/json")
	r.ownHeaders(h)
	if failed != "" {
		h.Set("Ownkey-Error", failed)
		if lasting(status) {
			h.Set(headerShouldRetry, "false")
		}
		if after := answers[code(failed)].retryAfter; after != "" {
			h.Set(fasthttp.HeaderRetryAfter, after)
		}
		outcome = outcomeOf(code(failed))
	}
	r.oweAnswer(len(body))
	writeError(r.ctx, body)
	r.record.Status, r.record.ErrorCode = int64(status), failed
	r.finish(outcome)
	return nil
}

// whileThere gives a context that ends when the client leaves, or when done is
// called, as it must be.
func (r *request) whileThere() (asking context.Context, done func()) {
	asking, cancel := context.WithCancel(context.Background())
	conn, ok := r.ctx.Conn().(*front.Conn)
	if !ok {
		return asking, cancel
	}
	w := &watched{fd: conn.FD(), gone: cancel, tenant: r.caller.Tenant.ID, token: r.caller.Token.ID}
	r.g.watcher.add(w)
	return asking, func() {
		r.g.watcher.remove(w)
		cancel()
	}
}
