package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/ownkey/ownkey/upstream"
)

// TestCredential asks a provider for its list of models with a stored
// credential, the cheapest call there is, and gives the status. The error's
// text is a public sentence.
func (g *Gateway) TestCredential(ctx context.Context, tenantID, provider, label string) (status int, err error) {
	status, err = g.probe(ctx, tenantID, provider, label)
	if err != nil {
		return 0, errors.New(refusalOf(err, false).message)
	}
	return status, nil
}

func (g *Gateway) probe(ctx context.Context, tenantID, name, label string) (int, error) {
	tenant, err := g.directory.Tenant(tenantID)
	if err != nil {
		return 0, err
	}
	provider := g.providers[name]
	if provider == nil {
		return 0, refuse(codeUnknownProvider, "there is no such provider; known are: "+g.providerNames)
	}
	stored, err := tenant.Credential(name, label)
	if err != nil {
		return 0, err
	}
	target, err := g.target(provider, stored)
	if err != nil {
		return 0, err
	}
	ref := refOf(stored, target)
	lease, err := g.credentials.Credential(ctx, &ref)
	if err != nil {
		return 0, err
	}
	defer lease.Release()
	var attempt upstream.Attempt
	attempt.Begin(target, time.Now())
	defer func() { attempt.End(time.Now()) }()
	defer context.AfterFunc(ctx, attempt.Cancel)()
	//nolint:contextcheck // Cancel, above, is how an attempt hears of ctx
	err = attempt.Send(&upstream.Request{
		Method: []byte("GET"), Path: []byte("/models"),
		Header:           []byte("Accept: application/json\r\nAnthropic-Version: 2023-06-01\r\n"),
		CredentialHeader: provider.CredentialHeader, Credential: &lease,
	})
	if err != nil {
		return 0, err
	}
	return attempt.Head.StatusCode(), nil
}
