package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/reconcile"
	"github.com/ownkey/ownkey/meter/usage"
)

// span is the first and last time of something.
type span struct{ first, last time.Time }

func (s *span) add(at time.Time) {
	if s.first.IsZero() || at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
}

// Calls implements evidence.Store.
func (s *Store) Calls(ctx context.Context, tenant string, from, to time.Time) ([]evidence.Calls, error) {
	type sum struct {
		calls int64
		span
	}
	found := map[evidence.Calls]*sum{}
	err := s.ListRequests(ctx, tenant, from, to, func(r *meter.Record) error {
		if r.Attempt == 0 {
			return nil
		}
		key := evidence.Calls{Provider: r.Provider, Organization: r.ProviderOrganization, CredentialID: r.CredentialID, Fingerprint: r.Fingerprint, KeyVersion: r.KeyVersion}
		if found[key] == nil {
			found[key] = &sum{}
		}
		found[key].calls++
		found[key].add(r.Start)
		return nil
	})
	all := make([]evidence.Calls, 0, len(found))
	for c, n := range found {
		c.Calls, c.First, c.Last = n.calls, n.first, n.last
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b evidence.Calls) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Organization, b.Organization), strings.Compare(a.CredentialID, b.CredentialID),
			strings.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.KeyVersion, b.KeyVersion))
	})
	return all, err
}

// UnsealCounts implements evidence.Store.
func (s *Store) UnsealCounts(ctx context.Context, tenant string, from, to time.Time) ([]evidence.Unseals, error) {
	type key struct{ credential, keyring string }
	type sum struct {
		ids    map[string]bool
		hedges int64
		span
	}
	found := map[key]*sum{}
	err := s.ListUnseals(ctx, tenant, from, to, func(u *meter.Unseal) error {
		k := key{u.CredentialID, u.Keyring}
		if found[k] == nil {
			found[k] = &sum{ids: map[string]bool{}}
		}
		n := found[k]
		n.ids[u.ID] = true
		if u.Hedge {
			n.hedges++
		}
		n.add(u.At)
		return nil
	})
	all := make([]evidence.Unseals, 0, len(found))
	for k, n := range found {
		all = append(all, evidence.Unseals{CredentialID: k.credential, Keyring: k.keyring, Unseals: int64(len(n.ids)), Hedges: n.hedges, First: n.first, Last: n.last})
	}
	slices.SortFunc(all, func(a, b evidence.Unseals) int {
		return cmp.Or(strings.Compare(a.CredentialID, b.CredentialID), strings.Compare(a.Keyring, b.Keyring))
	})
	return all, err
}

// Daily implements reconcile.Store.
func (s *Store) Daily(ctx context.Context, provider, tenant string, from, to time.Time) ([]reconcile.Daily, error) {
	type key struct {
		day               time.Time
		model, credential string
	}
	found := map[key]*reconcile.Daily{}
	err := s.ListRequests(ctx, tenant, from, to, func(r *meter.Record) error {
		if r.Provider != provider || r.Attempt == 0 || r.Endpoint == "none" {
			return nil
		}
		k := key{r.Start.UTC().Truncate(24 * time.Hour), usage.ModelOf(r), r.CredentialID}
		d := found[k]
		if d == nil {
			d = &reconcile.Daily{Day: k.day, Model: k.model, CredentialID: k.credential}
			found[k] = d
		}
		d.Requests++
		d.InputTokens = meter.Add(d.InputTokens, r.InputTokens.N)
		d.CachedTokens = meter.Add(d.CachedTokens, r.CachedTokens.N)
		d.CacheWriteTokens = meter.Add(d.CacheWriteTokens, r.CacheWrites.N)
		d.OutputTokens = meter.Add(d.OutputTokens, r.OutputTokens.N)
		if r.UsageSource != meter.UsageProvider {
			d.UnknownUsage++
		}
		return nil
	})
	all := make([]reconcile.Daily, 0, len(found))
	for _, d := range found {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b reconcile.Daily) int {
		return cmp.Or(a.Day.Compare(b.Day), strings.Compare(a.Model, b.Model), strings.Compare(a.CredentialID, b.CredentialID))
	})
	return all, err
}

// Columns are those of a row about a call, for evidence.
func (s *Store) Columns(context.Context) ([]evidence.Column, error) {
	return shapeOf(&meter.Record{}), nil
}
