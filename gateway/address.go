package gateway

import (
	"cmp"
	"errors"
	"net/url"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/upstream"
)

// ErrUnknownProvider is a provider without a place in the configuration.
var ErrUnknownProvider = errors.New("there is no such provider")

// Address gives where requests with a credential go, in the spelling that
// secrets are bound to: to its own base URL, or to the provider's where that is
// empty. A base URL of its own must be https, unless the operator has named
// what it leads to: as the provider's own origin, or in egress.allow.
func (g *Gateway) Address(provider, baseURL string) (string, error) {
	table := g.table.Load()
	p := table.providers[provider]
	if baseURL == "" {
		if p == nil {
			return "", ErrUnknownProvider
		}
		return p.Target.Address, nil
	}
	base, err := config.ParseBaseURL(baseURL)
	if err != nil {
		return "", err
	}
	if p == nil || !ofOperator(p, base) {
		err = table.egress.Check(base.Scheme, upstream.HostPort(base))
	}
	return upstream.Address(base), err
}

// ofOperator reports whether a base URL has the very origin that the operator
// chose for the provider; its path may be another.
func ofOperator(p *Provider, base *url.URL) bool {
	own := p.Target
	scheme := "http"
	if own.TLS != nil {
		scheme = "https"
	}
	return base.Scheme == scheme && upstream.HostPort(base) == own.HostPort
}

// Rebind gives the address that a secret which is bound to host:port alone is
// to be bound to from now on. It must be the same host and, since the rest of
// the row could have been changed in the database, https or exactly what the
// operator's configuration says. Empty: there is none, and it stays as it is.
func (g *Gateway) Rebind(provider, baseURL, host string) string {
	address, err := g.Address(provider, baseURL)
	if err != nil {
		return ""
	}
	base, err := url.Parse(cmp.Or(baseURL, address))
	if err != nil || upstream.HostPort(base) != host || base.Scheme != "https" && !g.exactly(provider, address) {
		return ""
	}
	return address
}

// exactly reports whether an address is the provider's own.
func (g *Gateway) exactly(provider, address string) bool {
	p := g.table.Load().providers[provider]
	return p != nil && p.Target.Address == address
}

// target is where a credential's requests go. The credential was sealed for
// one address; anywhere else it does not open, and the call is refused before
// anything is dialed.
func (t *table) target(p *Provider, c *directory.Credential) (*upstream.Target, error) {
	to := p.Target
	if c.BaseURL != "" {
		var err error
		if to, err = t.ownTarget(p, c); err != nil {
			return nil, err
		}
	}
	switch {
	case to.HostPort != c.Host || c.Address != "" && c.Address != to.Address:
		return nil, refuse(codeCredentialUnusable, "the credential for provider "+p.Name+
			" was stored for another address than the provider's present one; store it again: ownkey credential put")
	case c.Address == "" && to.TLS == nil && to.Address != p.Target.Address:
		return nil, refuse(codeCredentialUnusable, "the credential for provider "+p.Name+
			" would be sent in clear to an address that the configuration does not name; store it again: ownkey credential put")
	}
	return to, nil
}
