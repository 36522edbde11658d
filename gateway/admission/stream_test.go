package admission

import (
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// TestAnswerThatTurnsOutToBeAStream takes its place late, once, and not of the
// token if the tenant has none.
func TestAnswerThatTurnsOutToBeAStream(t *testing.T) {
	l, one := newLimiter(t), directory.Limits{Streams: 1}
	refused := func(p *Pass, scope string) {
		t.Helper()
		if why := p.Stream(); why == nil || why.Limit != Streams || why.Scope != scope {
			t.Errorf("refusal %+v, want one by the %s", why, scope)
		}
	}
	taken := func(p *Pass) {
		t.Helper()
		if why := p.Stream(); why != nil {
			t.Errorf("refused: %+v", why)
		}
	}
	p, q := mustEnter(t, l, caller("acme", "a", one, one), noon), mustEnter(t, l, caller("acme", "b", one, one), noon)
	taken(p)
	taken(p)
	refused(q, ScopeTenant)
	p.Leave(0, noon)
	taken(q)
	r := mustEnter(t, l, caller("acme", "b", one, one), noon)
	refused(r, ScopeToken)
	q.Leave(0, noon)
	taken(r)
	taken(mustEnter(t, l, caller("acme", "b", directory.Limits{}, directory.Limits{}), noon))
}

// TestStandingsBeyondTheirRoom: a pass that has eight keeps those.
func TestStandingsBeyondTheirRoom(t *testing.T) {
	all := directory.Limits{RequestsPerSecond: 10, TokensPerDay: 1e6, TokensPerMonth: 1e6, TokensPerMinute: 1e5, Streams: 1}
	l := newLimiter(t)
	first, p := mustEnter(t, l, caller("acme", "a", all, all), noon), mustEnter(t, l, caller("acme", "a", all, all), noon)
	if why := first.Stream(); why != nil {
		t.Fatal(why)
	}
	if why := p.Reserve(1, false, noon); why != nil {
		t.Fatal(why)
	}
	if why := p.Stream(); why == nil || len(p.Standings()) != 8 {
		t.Errorf("%+v, %d standings", why, len(p.Standings()))
	}
}

// TestCallOfATenantWithoutAToken: the gateway's own call spends the tenant's budget.
func TestCallOfATenantWithoutAToken(t *testing.T) {
	l := newLimiter(t)
	c := caller("acme", "", directory.Limits{}, directory.Limits{TokensPerDay: 100})
	c.Token = nil
	var o Own
	if why := l.EnterOwn(&o, c, 10, noon); why != nil {
		t.Fatal(why)
	}
	o.Leave(100, noon)
	if why := l.EnterOwn(&o, c, 10, noon); why == nil || why.Limit != TokensPerDay || why.Scope != ScopeTenant {
		t.Errorf("the budget is spent: %+v", why)
	}
}

// TestTokensWithoutALimitAreNotOwed: not even when the limit is back.
func TestTokensWithoutALimitAreNotOwed(t *testing.T) {
	l := newLimiter(t)
	limited := caller("acme", "a", directory.Limits{TokensPerMinute: 60}, directory.Limits{})
	for _, c := range []*directory.Caller{limited, caller("acme", "a", directory.Limits{}, directory.Limits{})} {
		p := mustEnter(t, l, c, noon)
		if why := p.Reserve(20, false, noon); why != nil {
			t.Fatal(why)
		}
		p.Leave(50, noon)
	}
	if why := call(l, limited, 10, noon); why != nil {
		t.Errorf("10 of 60 are left: %+v", why)
	}
}

// TestHolderIsFullAtItsPart: with as much as is free for all others.
func TestHolderIsFullAtItsPart(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxBufferedBytes = 1000 })
	h := holder(t, l, "one")
	if !h.Take(499) || h.Full() || !h.Take(1) || !h.Full() || h.Take(1) {
		t.Errorf("%d bytes are held", l.Held())
	}
}
