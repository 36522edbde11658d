package gateway

import (
	"net"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"
)

// This file knows where calls come from. An address is personal data: it is in no
// record, and in the log only where the operator has chosen so.

// from gives the address of a request's client, as far as the proxies that are
// trusted say it; the zero address where it is not known.
func (g *Gateway) from(ctx *fasthttp.RequestCtx) netip.Addr {
	peer, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := peer.AddrPort().Addr().Unmap()
	if !g.proxies.Contain(a) {
		return a
	}
	h := &ctx.Request.Header
	return g.proxies.Client(a, lines(h.PeekAll(fasthttp.HeaderForwarded)), lines(h.PeekAll(fasthttp.HeaderXForwardedFor)))
}

func lines(all [][]byte) (texts []string) {
	for _, one := range all {
		texts = append(texts, string(one))
	}
	return texts
}

// checkOrigin refuses a call from where its token may not be used.
func (r *request) checkOrigin() error {
	token := r.caller.Token
	if !token.BoundToAddresses() {
		return nil
	}
	from := r.g.from(r.ctx)
	if token.AllowsAddress(from) {
		return nil
	}
	if r.g.misplaced.due(r.record.Start) {
		e := r.g.log.Warn().Str("tenant", token.TenantID).Str("token", token.ID)
		if r.g.logAddresses {
			e.Stringer("from", from)
		}
		e.Msg("a token was used from an address that its allow_from does not have (one line in ten seconds)")
	}
	seen := "; this call came from " + from.String()
	if !from.IsValid() {
		seen = "; it is not known where this call came from: the gateway's operator sets trusted_proxies, and the proxy X-Forwarded-For, Forwarded or a PROXY header"
	}
	return refuse(codeNotAllowed, "the token may be used from the addresses of its allow_from only"+seen)
}

// stranger logs a refusal of a caller that is not known, where addresses may be.
func (g *Gateway) stranger(ctx *fasthttp.RequestCtx, why code) {
	if g.logAddresses && g.refusing.due(time.Now()) {
		g.log.Warn().Str("error_code", string(why)).Stringer("from", g.from(ctx)).
			Msg("a caller that is not known was refused (one line in ten seconds; ownkey_refused_total counts all)")
	}
}
