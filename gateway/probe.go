package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
)

// TestCredential asks a provider for its list of models with a sealed
// credential, the cheapest call there is, and gives the status. The credential
// is unsealed for it; it may be one that is not stored yet. The error's text is
// a public sentence.
func (g *Gateway) TestCredential(ctx context.Context, sealed *directory.Credential) (status int, err error) {
	status, err = g.probe(ctx, sealed)
	if err != nil {
		return 0, errors.New(refusalOf(err, false).message)
	}
	return status, nil
}

// OpensCredential reports whether a stored credential can be decrypted for the
// address that it would be sent to. Nothing is sent. The error's text is a public
// sentence.
func (g *Gateway) OpensCredential(ctx context.Context, stored *directory.Credential) error {
	table := g.table.Load()
	provider := table.providers[stored.Provider]
	if provider == nil {
		return errors.New("the configuration has no provider " + stored.Provider)
	}
	target, err := table.target(provider, stored)
	if err == nil {
		ref := refOf(stored, target)
		var lease vaultbridge.Lease
		if lease, err = g.credentials.Fresh(ctx, &ref); err == nil {
			lease.Release()
		}
	}
	if err != nil {
		return errors.New(refusalOf(err, false).message)
	}
	return nil
}

func (g *Gateway) probe(ctx context.Context, stored *directory.Credential) (int, error) {
	table := g.table.Load()
	provider := table.providers[stored.Provider]
	if provider == nil {
		return 0, refuse(codeUnknownProvider, "there is no such provider; known are: "+table.names)
	}
	target, err := table.target(provider, stored)
	if err != nil {
		return 0, err
	}
	ref := refOf(stored, target)
	lease, err := g.credentials.Fresh(ctx, &ref)
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
