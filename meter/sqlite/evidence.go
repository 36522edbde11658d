package sqlite

import (
	"cmp"
	"context"
	"errors"
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
	named := organizations{}
	err := s.ListRequests(ctx, tenant, from, to, func(r *meter.Record) error {
		if r.Attempt == 0 {
			return nil
		}
		key := evidence.Calls{Provider: r.Provider, Organization: named.of(r), CredentialID: r.CredentialID, Fingerprint: r.Fingerprint, KeyVersion: r.KeyVersion}
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

// organizations are the names of each provider that a report has.
type organizations map[string]map[string]bool

// of gives the name that a call is counted under.
func (o organizations) of(r *meter.Record) string {
	names, name := o[r.Provider], r.ProviderOrganization
	switch {
	case name == "" || names[name]:
		return name
	case len(names) == evidence.MaxOrganizations:
		return evidence.OtherOrganizations
	case names == nil:
		names = map[string]bool{}
		o[r.Provider] = names
	}
	names[name] = true
	return name
}

// lately are the ids of unseals that came lately, by which the second row of a
// hedged one is known. The second is asked for within seconds of the first: far
// fewer than maxLately of a tenant's come between them, and a tenant's month is
// not held in memory.
type lately struct{ now, before map[string]bool }

const maxLately = 10_000

// isNew says whether an id did not come lately.
func (l *lately) isNew(id string) bool {
	if l.now[id] || l.before[id] {
		return false
	}
	if l.now == nil || len(l.now) == maxLately {
		l.now, l.before = map[string]bool{}, l.now
	}
	l.now[id] = true
	return true
}

// UnsealCounts implements evidence.Store.
func (s *Store) UnsealCounts(ctx context.Context, tenant string, from, to time.Time) ([]evidence.Unseals, error) {
	type key struct{ credential, keyring string }
	type sum struct {
		unseals, hedges int64
		span
	}
	found := map[key]*sum{}
	var ids lately
	err := s.ListUnseals(ctx, tenant, from, to, func(u *meter.Unseal) error {
		k := key{u.CredentialID, u.Keyring}
		if found[k] == nil {
			found[k] = &sum{}
		}
		n := found[k]
		if ids.isNew(u.ID) {
			n.unseals++
		}
		if u.Hedge {
			n.hedges++
		}
		n.add(u.At)
		return nil
	})
	all := make([]evidence.Unseals, 0, len(found))
	for k, n := range found {
		all = append(all, evidence.Unseals{CredentialID: k.credential, Keyring: k.keyring, Unseals: n.unseals, Hedges: n.hedges, First: n.first, Last: n.last})
	}
	slices.SortFunc(all, func(a, b evidence.Unseals) int {
		return cmp.Or(strings.Compare(a.CredentialID, b.CredentialID), strings.Compare(a.Keyring, b.Keyring))
	})
	return all, err
}

// errFull ends a question whose page is full.
var errFull = errors.New("the page is full")

// Daily implements reconcile.Store. It reads from the page's first day on, until
// the page is full.
func (s *Store) Daily(ctx context.Context, q reconcile.Question) (page []reconcile.Daily, err error) {
	day := dayOf{question: &q}
	err = s.ListRequests(ctx, q.Tenant, q.Begin(), q.To, func(r *meter.Record) error {
		if r.Provider != q.Provider || r.Attempt == 0 || r.Endpoint == "none" {
			return nil
		}
		if at := r.Start.UTC().Truncate(24 * time.Hour); !at.Equal(day.at) {
			if page = append(page, day.rows(q.Limit-len(page))...); len(page) == q.Limit {
				return errFull
			}
			day = dayOf{question: &q, at: at, found: map[reconcile.Place]*reconcile.Daily{}}
		}
		day.add(r, q.Limit-len(page))
		return nil
	})
	if errors.Is(err, errFull) {
		return page, nil
	}
	return append(page, day.rows(q.Limit-len(page))...), err
}

// dayOf are the sums of a day.
type dayOf struct {
	question *reconcile.Question
	at       time.Time
	found    map[reconcile.Place]*reconcile.Daily
}

// add adds a call, if it can be on a page with so much room: of more rows than
// that, the last ones are dropped from time to time.
func (d *dayOf) add(r *meter.Record, room int) {
	k := reconcile.Place{Day: d.at, Model: usage.ModelOf(r), CredentialID: r.CredentialID}
	if after := d.question.After; after != nil && k.Compare(*after) <= 0 {
		return
	}
	n := d.found[k]
	if n == nil {
		if len(d.found) >= 2*room {
			for _, last := range d.rows(len(d.found))[room:] {
				delete(d.found, placeOf(&last))
			}
		}
		n = &reconcile.Daily{Day: d.at, Model: k.Model, CredentialID: k.CredentialID}
		d.found[k] = n
	}
	n.Requests++
	n.InputTokens = meter.Add(n.InputTokens, r.InputTokens.N)
	n.CachedTokens = meter.Add(n.CachedTokens, r.CachedTokens.N)
	n.CacheWriteTokens = meter.Add(n.CacheWriteTokens, r.CacheWrites.N)
	n.OutputTokens = meter.Add(n.OutputTokens, r.OutputTokens.N)
	if r.UsageSource != meter.UsageProvider {
		n.UnknownUsage++
	}
}

func placeOf(d *reconcile.Daily) reconcile.Place {
	return reconcile.Place{Day: d.Day, Model: d.Model, CredentialID: d.CredentialID}
}

// rows are the first of the day.
func (d *dayOf) rows(most int) []reconcile.Daily {
	all := make([]reconcile.Daily, 0, len(d.found))
	for _, n := range d.found {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b reconcile.Daily) int { return placeOf(&a).Compare(placeOf(&b)) })
	return all[:min(most, len(all))]
}

// Columns are those of a row about a call, for evidence.
func (s *Store) Columns(context.Context) ([]evidence.Column, error) {
	var all shape
	meter.LedgerColumns(&meter.Record{}, &all)
	return all, nil
}
