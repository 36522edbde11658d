package gateway

import (
	"sync"
	"time"

	"github.com/ownkey/ownkey/gateway/front"
	"github.com/valyala/fasthttp"
)

// This file answers callers that are not known (yet): whoever can open a
// connection can send as much as the network carries. What they send is counted,
// never recorded, and takes no room in the ledger.

// unreadable answers a request that is not HTTP we can read. The connection is
// closed afterwards.
func (g *Gateway) unreadable(ctx *fasthttp.RequestCtx, err error) {
	why, status := refuse(codeInvalidRequest, "the request is not valid HTTP"), fasthttp.StatusBadRequest
	switch err {
	case front.ErrFraming:
		why.message = "the request's head or framing is ambiguous"
	case front.ErrHeadTooLarge:
		why.message = "the request's head is larger than this gateway accepts (limits.max_header_bytes)"
		status = fasthttp.StatusRequestHeaderFieldsTooLarge
	case front.ErrNoRoom:
		why = errNoMemory
		status = answers[why.code].status
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, answers[why.code].retryAfter)
	case front.ErrSlowHead:
		why.message = "the request did not arrive in time"
	}
	g.metrics.refused[why.code].Inc()
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.Response.Header.Set("Ownkey-Error", string(why.code))
	writeError(ctx, why.appendError(nil, 0, ""))
}

// acceptLogInterval is how often the log says that connections cannot be
// accepted.
const acceptLogInterval = 10 * time.Second

// acceptLog remembers when the log said so.
type acceptLog struct {
	mu   sync.Mutex
	last time.Time
}

// acceptTrouble logs that connections cannot be accepted now.
func (g *Gateway) acceptTrouble(err error, wait time.Duration) {
	g.accepting.mu.Lock()
	defer g.accepting.mu.Unlock()
	if now := time.Now(); now.Sub(g.accepting.last) >= acceptLogInterval {
		g.accepting.last = now
		g.log.Error().Err(err).Dur("wait_ms", wait).Msg("cannot accept connections for now; the gateway goes on and tries again")
	}
}
