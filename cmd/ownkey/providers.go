package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/wire"
)

// gatewaySettings makes what the gateway goes by. Whatever is the same as in the
// settings of now is taken over from there, with its connections. After an error
// nothing has changed.
func (a *app) gatewaySettings(c *config.Config) (s gateway.Settings, err error) {
	m := &c.Memory
	s = gateway.Settings{
		MaxBodyBytes: c.Limits.MaxBodyBytes, CutRevoked: c.CutRevokedStreams,
		Recall: gateway.Recall{MaxTokens: int(m.MaxTokens), TopK: int(m.TopK), Timeout: m.RecallTimeout, TTL: m.TTL},
	}
	if s.Egress = a.settings.Egress; s.Egress == nil || !slices.Equal(c.Egress.Allow, a.now().Egress.Allow) {
		s.Egress = upstream.NewEgress(c.Egress.Allow)
	}
	s.Providers, err = a.providers(c)
	return s, err
}

func (a *app) providers(c *config.Config) (all []*gateway.Provider, err error) {
	var errs []error
	bases, wanted := map[string]*url.URL{}, c.AllProviders()
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		p := wanted[name]
		base, err := config.ParseBaseURL(p.BaseURL)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot use provider %s: %w", name, err))
		}
		roots, err := readRoots(p.CAFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot use provider %s: %w", name, err))
		}
		header := "Authorization: Bearer "
		if p.Auth == config.AuthXAPIKey {
			header = "x-api-key: "
		}
		bases[name] = base
		known := config.DefinitionOf(name)
		all = append(all, &gateway.Provider{
			Name: name, Roots: roots, CredentialHeader: header, MaxBodyBytes: cmp.Or(p.MaxBodyBytes, c.Limits.MaxBodyBytes),
			RequestHeaders:  gateway.RequestHeaders(known.RequestHeaders, p.RequestHeaders),
			ResponseHeaders: gateway.ResponseHeaders(known.ResponseHeaders, p.ResponseHeaders),
			Usage:           wire.UsageRules{ReasoningApart: known.ReasoningApart},
		})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, p := range all {
		w := wanted[p.Name]
		limits := upstream.Limits{Connect: w.ConnectTimeout, FirstByte: w.FirstByteTimeout, Idle: w.IdleTimeout, Total: w.TotalTimeout}
		if p.Target = a.targetOf(p, w.BaseURL, limits); p.Target == nil {
			p.Target = a.client.NewTarget(bases[p.Name], p.Roots, nil, limits)
		}
	}
	return all, nil
}

// targetOf gives the target that a provider has already; nil if there is none
// that is the same.
func (a *app) targetOf(p *gateway.Provider, baseURL string, limits upstream.Limits) *upstream.Target {
	i := slices.IndexFunc(a.settings.Providers, func(one *gateway.Provider) bool { return one.Name == p.Name })
	if i < 0 {
		return nil
	}
	has := a.settings.Providers[i]
	if a.now().AllProviders()[p.Name].BaseURL != baseURL || has.Target.Limits != limits || !has.Roots.Equal(p.Roots) {
		return nil
	}
	return has.Target
}

// readRoots reads the certificate authorities of a PEM file; nil for none.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cannot use ca_file %s: it holds no certificate", path)
	}
	return roots, nil
}
