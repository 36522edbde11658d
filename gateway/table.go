package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/upstream"
)

// Settings are what Apply may change while the gateway serves.
type Settings struct {
	Providers []*Provider
	// Egress says where credentials' own base URLs may lead.
	Egress *upstream.Egress
	// MaxBodyBytes bounds a held body where the provider is not known yet.
	MaxBodyBytes int64
	// CutRevoked ends streams whose token, tenant or credential is revoked, also
	// those that are open when it is applied.
	CutRevoked bool
	Recall     Recall
}

// Recall is how much is recalled for a call, and how long that may take.
type Recall struct {
	// MaxTokens and TopK bound a block where the client does not say.
	MaxTokens int
	TopK      int
	// Timeout is the deadline of a recall in a call.
	Timeout time.Duration
	// TTL is how long captured turns are kept, where neither their bucket nor the token
	// says; zero for ever.
	TTL time.Duration
}

// table is settings in the form that requests use. A request keeps to the one
// that it began with. Only own changes: it fills as credentials are used.
type table struct {
	client       *upstream.Client
	providers    map[string]*Provider
	names        string
	egress       *upstream.Egress
	maxBodyBytes int64
	cutRevoked   bool
	recall       Recall

	own *ownTargets
}

func newTable(client *upstream.Client, s *Settings) *table {
	t := &table{
		own:    newOwnTargets(client),
		client: client, providers: make(map[string]*Provider, len(s.Providers)), egress: s.Egress, maxBodyBytes: s.MaxBodyBytes, cutRevoked: s.CutRevoked, recall: s.Recall,
	}
	names := make([]string, 0, len(s.Providers))
	for _, p := range s.Providers {
		t.providers[p.Name] = p
		names = append(names, p.Name)
	}
	slices.Sort(names)
	t.names = strings.Join(names, ", ")
	return t
}

// Apply puts other settings in place, for requests that begin from now on.
// Targets that are in both keep their connections; those of the others close as
// they fall idle. One goroutine at a time may call it.
func (g *Gateway) Apply(s *Settings) {
	next, was := newTable(g.upstream, s), g.table.Load()
	left := was.handOver(next)
	g.table.Store(next)
	for _, target := range left {
		g.upstream.Retire(target)
	}
}

// handOver gives next the targets that go on, and gives those that do not.
func (t *table) handOver(next *table) (left []*upstream.Target) {
	goesOn := map[*upstream.Target]bool{}
	for _, p := range next.providers {
		goesOn[p.Target] = true
	}
	for _, p := range t.providers {
		if !goesOn[p.Target] {
			left = append(left, p.Target)
		}
	}
	own := t.own.handOver(next.own, func(beside *upstream.Target) bool { return goesOn[beside] && t.egress == next.egress })
	return append(left, own...)
}

// ownTarget is the target of a credential's own base URL.
func (t *table) ownTarget(p *Provider, c *directory.Credential) (*upstream.Target, error) {
	name, now := ownName{c.TenantID, ownAddress{p.Target, c.BaseURL}}, time.Now()
	if known := t.own.find(name, now); known != nil {
		return known, nil
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("cannot parse stored base URL: %w", err)
	}
	egress := t.egress
	if ofOperator(p, base) {
		egress = nil // the operator's own choice, another path
	}
	return t.own.add(name, now, func() *upstream.Target {
		return t.client.NewTarget(base, p.Roots, egress, p.Target.Limits)
	}), nil
}
