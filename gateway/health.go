package gateway

import (
	"time"

	"github.com/valyala/fasthttp"
)

// health answers the paths that need no token and leave no record: /healthz, and
// / for clients that ask whether anything is there (Claude Code: HEAD /), say
// that the process runs, /readyz that it can serve, with one word per part. What
// is wrong with records stops no request: late or degraded, and ready.
func (g *Gateway) health(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Request.Header.RequestURI()) {
	case "/healthz", "/":
		writeJSON(ctx, fasthttp.StatusOK, `{"status":"ok"}`)
	case "/readyz":
		status, body := g.Ready()
		writeJSON(ctx, status, body)
	default:
		return false
	}
	return true
}

// Ready says whether calls succeed, as the status and body of /readyz. What is
// known is enough for it: no store and no Vault is asked, however often somebody
// asks us.
func (g *Gateway) Ready() (status int, body string) {
	parts := [...]struct {
		name  string
		state part
	}{
		{"store", g.storeState()}, {"keyring", g.keyringState(time.Now())}, {"ledger", stateOf(g.journal.Ready())},
	}
	worst := partOK
	for _, p := range parts {
		worst = max(worst, p.state)
	}
	status = fasthttp.StatusOK
	word := worst.String()
	switch {
	case g.draining.Load():
		status, word = fasthttp.StatusServiceUnavailable, "draining"
	case worst == partDown:
		status, word = fasthttp.StatusServiceUnavailable, "unavailable"
	}
	body = `{"status":"` + word + `"`
	for _, p := range parts {
		body += `,"` + p.name + `":"` + p.state.String() + `"`
	}
	return status, body + `,"records":"` + g.records() + `"}`
}

// part is the state of one part, the worse the higher.
type part int

const (
	partOK part = iota
	// partDegraded does not work, and calls go on with what is in memory.
	partDegraded
	partDown
)

// String gives the state's word.
func (p part) String() string { return [...]string{"ok", "degraded", "down"}[p] }

func stateOf(err error) part {
	if err != nil {
		return partDown
	}
	return partOK
}

// storeState: while the database is silent, tokens that are known go on for a
// time.
func (g *Gateway) storeState() part {
	switch {
	case g.directory.Ready() == nil:
		return partOK
	case g.directory.Stale():
		return partDown
	}
	return partDegraded
}

// keyringState: while a key store cannot be used, credentials in memory go on
// for their time and its grace.
func (g *Gateway) keyringState(now time.Time) part {
	for i, k := range g.ring.All() {
		switch {
		case k.Ready() == nil:
		case i > 0 || g.credentials.Holds(now): // what the one before has sealed is a part of all, if any
			return partDegraded
		default:
			return partDown
		}
	}
	return partOK
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, body string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	writeError(ctx, []byte(body))
}
