package admission

import (
	"time"

	"github.com/ownkey/ownkey/directory"
)

// Own is a call that the gateway makes for a tenant without a client that waits
// for it, such as memory's for embeddings. It spends the same budgets and tokens
// per minute as other calls, of the token that caused it and of the tenant; rates
// of requests and places are for clients, and it takes none. It is used by one
// goroutine.
type Own struct{ pass Pass }

// EnterOwn lets a call of the gateway's own begin that may use so many tokens, or
// says why not: it waits for no room. A caller without a token is the tenant
// itself. After nil, Leave must be called.
func (l *Limiter) EnterOwn(o *Own, c *directory.Caller, tokens int64, now time.Time) *Refusal {
	p := &o.pass
	defaults := l.now.Load()
	*p = Pass{limiter: l, token: &account{}, tenant: l.find(l.tenants, c.Tenant.ID, ""), tenantL: c.Tenant.Limits.Or(defaults.Tenant)}
	if c.Token != nil {
		p.token, p.tokenL = l.find(l.tokens, c.Token.ID, c.Tenant.ID), c.Token.Limits.Or(defaults.Token)
	}
	return p.Reserve(tokens, false, now)
}

// Leave ends the call: tokens is what was really used.
func (o *Own) Leave(tokens int64, now time.Time) {
	p := &o.pass
	p.token.settle(&p.tokenL, p.reserved, tokens, false, now)
	p.tenant.settle(&p.tenantL, p.reserved, tokens, false, now)
}
