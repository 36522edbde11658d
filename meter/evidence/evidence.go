// Package evidence answers the question that a buyer asks of "bring your own
// key": whose name is on the provider's invoice? It counts calls under the
// organization that the provider itself has named in its answers, flags those
// under any other, and shows with which credential they were made, which
// unseals gave it, and what was stored about them.
//
// It says what the records say and judges nothing that they do not hold: a
// provider that names no organization leaves the question open, and the report
// says so.
package evidence

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// MaxOrganizations is how many a report names of a provider. A tenant has one
	// or a few; one that owns its provider can name another in each answer.
	MaxOrganizations = 100
	// OtherOrganizations is what calls under further names are counted as. No
	// provider's name is so: an id has no parentheses.
	OtherOrganizations = "(other)"
)

// Store has the records.
type Store interface {
	// Calls gives a row for each combination of a tenant's calls that reached a
	// provider and began in [from, to). It names the MaxOrganizations that came
	// first of each provider; calls under others are of OtherOrganizations.
	Calls(ctx context.Context, tenant string, from, to time.Time) ([]Calls, error)
	// UnsealCounts gives a row for each credential and keyring of the unseals
	// in [from, to).
	UnsealCounts(ctx context.Context, tenant string, from, to time.Time) ([]Unseals, error)
}

// Calls are calls that have these things in common.
type Calls struct {
	Provider     string    `json:"provider"`
	Organization string    `json:"organization"` // as the provider has named it; empty if it has not
	CredentialID string    `json:"credential"`
	Fingerprint  string    `json:"fingerprint"` // of the secret that was used
	KeyVersion   int64     `json:"key_version"` // of the key that had sealed it
	Calls        int64     `json:"calls"`
	First        time.Time `json:"first"`
	Last         time.Time `json:"last"`
}

// Unseals are how often a credential was opened.
type Unseals struct {
	CredentialID string    `json:"credential"`
	Keyring      string    `json:"keyring"`
	Unseals      int64     `json:"unseals"`
	Hedges       int64     `json:"hedges"` // asked for a second time because the first took long
	First        time.Time `json:"first"`
	Last         time.Time `json:"last"`
}

// Credential is what the directory knows of one that is stored now.
type Credential struct {
	ID           string
	Provider     string
	Label        string
	Fingerprint  string
	Organization string // that the tenant has stored with it; empty for none
}

// Column is one that a row about a call has.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// How the expected name was found.
const (
	RuleStored   = "stored with the credential"
	RuleMost     = "named by most of the credential's calls"
	RuleUnnamed  = "the provider has named none"
	unknownLabel = "(deleted)"
)

// Organization is a name that a provider has given, with what was called under
// it.
type Organization struct {
	Name  string `json:"organization"` // empty: the provider has named none
	Calls int64  `json:"calls"`
	// Unexpected are calls of credentials that should be billed to another
	// name.
	Unexpected int64     `json:"unexpected_calls"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

// Provider is the answer for one of them.
type Provider struct {
	Provider      string         `json:"provider"`
	Calls         int64          `json:"calls"`
	Organizations []Organization `json:"organizations"`
}

// Used is a credential that calls were made with.
type Used struct {
	ID       string `json:"credential"`
	Provider string `json:"provider"`
	Label    string `json:"label"`
	// Expected is the name that its calls should be billed to, and Rule how it
	// was found.
	Expected string    `json:"expected_organization"`
	Rule     string    `json:"rule"`
	Calls    []Calls   `json:"calls"`
	Unseals  []Unseals `json:"unseals"`
}

// Report is the whole answer.
type Report struct {
	Tenant string    `json:"tenant"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Made   time.Time `json:"made_at"`
	Calls  int64     `json:"calls"`
	// Unnamed are calls whose provider has named no organization.
	Unnamed int64 `json:"unnamed_calls"`
	// Unexpected are calls under a name that is not the expected one.
	Unexpected  int64      `json:"unexpected_calls"`
	Providers   []Provider `json:"providers"`
	Credentials []Used     `json:"credentials"`
	Stored      []Column   `json:"stored_columns"`
	Platform    Scan       `json:"platform_credentials"`
}

// Question is what a report is made for.
type Question struct {
	Tenant      string
	From, To    time.Time
	Now         time.Time
	Credentials []Credential
	Stored      []Column
	Platform    Scan
}

// Answer makes a report.
func Answer(ctx context.Context, s Store, q Question) (*Report, error) {
	calls, err := s.Calls(ctx, q.Tenant, q.From, q.To)
	if err != nil {
		return nil, fmt.Errorf("cannot make evidence: %w", err)
	}
	unseals, err := s.UnsealCounts(ctx, q.Tenant, q.From, q.To)
	if err != nil {
		return nil, fmt.Errorf("cannot make evidence: %w", err)
	}
	r := &Report{
		Tenant: q.Tenant, From: q.From.UTC(), To: q.To.UTC(), Made: q.Now.UTC(), Providers: []Provider{}, Credentials: used(calls, unseals, q.Credentials),
		Stored: q.Stored, Platform: q.Platform,
	}
	expected := map[string]string{}
	for _, u := range r.Credentials {
		expected[u.ID] = u.Expected
	}
	r.count(calls, expected)
	slices.SortFunc(r.Providers, func(a, b Provider) int { return cmp.Compare(a.Provider, b.Provider) })
	for _, p := range r.Providers {
		slices.SortFunc(p.Organizations, func(a, b Organization) int {
			return cmp.Or(-cmp.Compare(a.Calls, b.Calls), cmp.Compare(a.Name, b.Name))
		})
	}
	return r, nil
}

// count adds calls to their providers and organizations.
func (r *Report) count(calls []Calls, expected map[string]string) {
	providers := map[string]int{}
	organizations := map[[2]string]int{}
	for _, c := range calls {
		i, ok := providers[c.Provider]
		if !ok {
			i = len(r.Providers)
			providers[c.Provider] = i
			r.Providers = append(r.Providers, Provider{Provider: c.Provider})
		}
		p := &r.Providers[i]
		j, ok := organizations[[2]string{c.Provider, c.Organization}]
		if !ok {
			j = len(p.Organizations)
			organizations[[2]string{c.Provider, c.Organization}] = j
			p.Organizations = append(p.Organizations, Organization{Name: c.Organization, First: c.First, Last: c.Last})
		}
		p.Calls += c.Calls
		r.add(&p.Organizations[j], c, expected[c.CredentialID])
	}
}

// add adds calls to their organization, and to the sums of all.
func (r *Report) add(o *Organization, c Calls, expected string) {
	o.Calls, r.Calls = o.Calls+c.Calls, r.Calls+c.Calls
	if c.First.Before(o.First) {
		o.First = c.First
	}
	if c.Last.After(o.Last) {
		o.Last = c.Last
	}
	switch c.Organization {
	case "":
		r.Unnamed += c.Calls
	case expected:
	default:
		o.Unexpected, r.Unexpected = o.Unexpected+c.Calls, r.Unexpected+c.Calls
	}
}

// used lists the credentials of the calls and unseals.
func used(calls []Calls, unseals []Unseals, stored []Credential) []Used {
	all := []Used{}
	places := map[string]int{}
	at := func(id, provider string) *Used {
		i, ok := places[id]
		if !ok {
			i = len(all)
			places[id] = i
			all = append(all, Used{ID: id, Provider: provider, Label: unknownLabel, Calls: []Calls{}, Unseals: []Unseals{}})
		}
		return &all[i]
	}
	for _, c := range calls {
		u := at(c.CredentialID, c.Provider)
		u.Calls = append(u.Calls, c)
	}
	for _, n := range unseals {
		u := at(n.CredentialID, "")
		u.Unseals = append(u.Unseals, n)
	}
	for i := range all {
		all[i].Expected, all[i].Rule = most(all[i].Calls)
	}
	for _, c := range stored {
		i, ok := places[c.ID]
		if !ok {
			continue
		}
		u := &all[i]
		u.Label, u.Provider = c.Label, c.Provider
		if c.Organization != "" {
			u.Expected, u.Rule = c.Organization, RuleStored
		}
	}
	slices.SortFunc(all, func(a, b Used) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// most is the organization that most calls were made under.
func most(calls []Calls) (name, rule string) {
	sums := map[string]int64{}
	for _, c := range calls {
		if c.Organization != "" && c.Organization != OtherOrganizations {
			sums[c.Organization] += c.Calls
		}
	}
	if len(sums) == 0 {
		return "", RuleUnnamed
	}
	for n, calls := range sums {
		if best := sums[name]; name == "" || calls > best || calls == best && n < name {
			name = n
		}
	}
	return name, RuleMost
}
