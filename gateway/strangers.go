package gateway

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/internal/proxyheader"
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
		why = refuse(codeTooManyInFlight, "too many large heads are being read (limits.max_buffered_bytes); try again")
		status = answers[why.code].status
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, answers[why.code].retryAfter)
	case front.ErrSlowHead:
		why.message = "the request did not arrive in time"
	}
	g.metrics.refused[why.code].Inc()
	g.stranger(ctx, why.code)
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.Response.Header.Set("Ownkey-Error", string(why.code))
	writeError(ctx, why.appendError(nil, 0, ""))
}

// strangersLogInterval is how often the log has a line of each kind about
// connections: whoever can open one must not be able to fill it.
const strangersLogInterval = 10 * time.Second

// seldom remembers when the log had its last line of a kind.
type seldom struct {
	mu   sync.Mutex
	last time.Time
}

// due reports whether the time has come for another line.
func (s *seldom) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last) < strangersLogInterval {
		return false
	}
	s.last = now
	return true
}

// acceptTrouble logs that connections cannot be accepted now.
func (g *Gateway) acceptTrouble(err error, wait time.Duration) {
	if g.accepting.due(time.Now()) {
		g.log.Error().Err(err).Dur("wait_ms", wait).Msg("cannot accept connections for now; the gateway goes on and tries again")
	}
}

// turnedAway counts a connection beyond limits.max_connections and logs some of
// them.
func (g *Gateway) turnedAway() {
	g.metrics.turned.Inc()
	if g.turning.due(time.Now()) {
		g.log.Warn().Msg("connections are turned away: limits.max_connections are open (one line in ten seconds; ownkey_turned_away_connections_total counts all)")
	}
}

// badHandshake counts a TLS handshake that failed and logs some of them. Port
// scans and TCP health checks leave without one, so those are only counted.
func (g *Gateway) badHandshake(cause string, from net.Addr) {
	g.metrics.handshake[cause].Inc()
	if cause != front.HandshakeClosed && g.shaking.due(time.Now()) {
		g.log.Warn().Str("cause", cause).Str("from", from.String()).Msg("the TLS handshake with a client failed (one line in ten seconds; ownkey_tls_handshake_failures_total counts all)")
	}
}

// BadProxyHeader counts a connection of a proxy, to either plane, whose PROXY
// header is missing or broken, and logs some of them. TCP health checks leave
// without one, so those are only counted.
func (g *Gateway) BadProxyHeader(err error, from net.Addr) {
	g.metrics.introduced.Inc()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || !g.introducing.due(time.Now()) {
		return
	}
	cause := "broken"
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		cause = "timeout"
	} else if errors.Is(err, proxyheader.ErrNone) {
		cause = "missing"
	}
	g.log.Warn().Str("cause", cause).Str("from", from.String()).Msg("a trusted proxy's connection was closed: it does not begin with a PROXY header " +
		"(proxy_protocol, admin.proxy_protocol; one line in ten seconds; ownkey_proxy_header_failures_total counts all)")
}
