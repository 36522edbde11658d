package gateway

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// readyTimeout bounds the question to the keyring.
const readyTimeout = time.Second

// health answers the paths that need no token and leave no record: /healthz, and
// / for clients that ask whether anything is there (Claude Code: HEAD /), say
// that the process runs, /readyz that it can serve, with one word per part. What
// is wrong with records stops no request: late or degraded, and ready.
func (g *Gateway) health(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Request.Header.RequestURI()) {
	case "/healthz", "/":
		writeJSON(ctx, fasthttp.StatusOK, `{"status":"ok"}`)
	case "/readyz":
		g.ready(ctx)
	default:
		return false
	}
	return true
}

func (g *Gateway) ready(ctx *fasthttp.RequestCtx) {
	wait, stop := context.WithTimeout(context.Background(), readyTimeout)
	defer stop()
	store, keyring, ledger := g.directory.Ready(), g.ring.Current().Ready(wait), g.journal.Ready()
	status, word := fasthttp.StatusOK, "ok"
	switch {
	case g.draining.Load():
		status, word = fasthttp.StatusServiceUnavailable, "draining"
	case store != nil || keyring != nil || ledger != nil:
		status, word = fasthttp.StatusServiceUnavailable, "unavailable"
	}
	writeJSON(ctx, status, `{"status":"`+word+`","store":"`+part(store)+`","keyring":"`+part(keyring)+`","ledger":"`+part(ledger)+`","records":"`+g.records()+`"}`)
}

func part(err error) string {
	if err != nil {
		return "down"
	}
	return "ok"
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, body string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	writeError(ctx, []byte(body))
}
