package directory

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Sentinels of the room. Test with errors.Is.
var (
	// ErrInvalidToken: missing, malformed, unknown, expired or revoked; which
	// of them is nobody's business.
	ErrInvalidToken = errors.New("token is not valid")
	// ErrUnavailable: the database has not answered for too long to be sure.
	ErrUnavailable = errors.New("cannot reach tenant store")
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row of that name is there already.
	ErrExists = errors.New("already exists")
	// ErrChanged: the row is not any more what the change was made for.
	ErrChanged = errors.New("changed by somebody else meanwhile")
	// ErrErasing: a deletion is done, and what was deleted is still in the
	// database's files until a reader has ended.
	ErrErasing = errors.New("deleted; the files still hold it for a moment")
	// ErrAmbiguous: several credentials, and none of them is the default.
	ErrAmbiguous = errors.New("several credentials and none is named default")
	// ErrNotAllowed: the token may not use it.
	ErrNotAllowed = errors.New("not allowed to the token")
)

// InvalidError names the field of a row that can not be as asked, and why.
type InvalidError struct {
	Field  string
	Reason string
}

// Error gives field and reason.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// Tenant owns data and pays. It is a snapshot: it never changes.
type Tenant struct {
	ID              string
	Name            string
	DefaultProvider string
	Routes          []Route
	Memory          MemorySettings
	Limits          Limits
	CreatedAt       time.Time
	SuspendedAt     time.Time // zero: not

	credentials []*Credential // by provider, then label
	revision    int64
}

// Route sends the models that match to a provider.
type Route struct {
	Model    string `json:"model"` // exact, or with a trailing * for any rest
	Provider string `json:"provider"`
}

// Credential is a tenant's sealed secret for a provider. It is a snapshot.
type Credential struct {
	ID       string
	TenantID string
	Provider string
	Label    string
	BaseURL  string // of this credential; empty for the provider's own
	Host     string // host:port of its address
	// Address is what the secret is bound to: scheme://host:port/base-path.
	// Empty in rows from before a rewrap, whose secrets are bound to Host.
	Address      string
	Organization string
	Project      string
	Keyring      string // that sealed it
	Key          string // name of the key in it; empty for the one named after the tenant alone
	Sealed       string
	Fingerprint  string
	KeyVersion   int
	CreatedAt    time.Time
	UpdatedAt    time.Time

	// Generation grows with every change of the row.
	Generation int64
}

// DefaultLabel is the label of a tenant's credential that needs no naming.
const DefaultLabel = "default"

// Route gives the provider for a model: the first route that matches, else the
// default provider, else the only one that the tenant has a credential for.
// Empty when there is none.
func (t *Tenant) Route(model []byte) string {
	for i := range t.Routes {
		if matches(t.Routes[i].Model, model) {
			return t.Routes[i].Provider
		}
	}
	if t.DefaultProvider != "" || len(t.credentials) == 0 {
		return t.DefaultProvider
	}
	first, last := t.credentials[0].Provider, t.credentials[len(t.credentials)-1].Provider
	if first == last { // they are in order
		return first
	}
	return ""
}

// Routed reports whether a route of the tenant, not the default, decides.
func (t *Tenant) Routed(model []byte) bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool { return matches(r.Model, model) })
}

// Has reports whether the tenant has a credential for a provider.
func (t *Tenant) Has(provider string) bool {
	return slices.ContainsFunc(t.credentials, func(c *Credential) bool { return c.Provider == provider })
}

func matches(pattern string, model []byte) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(model) >= len(prefix) && string(model[:len(prefix)]) == prefix
	}
	return string(model) == pattern
}

// Credential finds a tenant's credential for a provider. Without a label it is
// the one labeled default, else the only one.
func (t *Tenant) Credential(provider, label string) (*Credential, error) {
	return t.credential(provider, label, nil)
}

// Credential is the tenant's, of those that the token may use. ErrNotAllowed:
// the token may use none that is meant.
func (c Caller) Credential(provider, label string) (*Credential, error) {
	if label != "" && !c.Token.AllowsCredential(label) {
		return nil, ErrNotAllowed
	}
	found, err := c.Tenant.credential(provider, label, c.Token)
	if errors.Is(err, ErrNotFound) && label == "" && c.Tenant.Has(provider) {
		return nil, ErrNotAllowed
	}
	return found, err
}

// credential is Credential for a token, or for none.
func (t *Tenant) credential(provider, label string, token *Token) (*Credential, error) {
	var only *Credential
	n := 0
	for _, c := range t.credentials {
		if c.Provider != provider || token != nil && !token.AllowsCredential(c.Label) {
			continue
		}
		if c.Label == label || label == "" && c.Label == DefaultLabel {
			return c, nil
		}
		only = c
		n++
	}
	switch {
	case label != "" || n == 0:
		return nil, ErrNotFound
	case n > 1:
		return nil, ErrAmbiguous
	}
	return only, nil
}

// Names of things, as they may be written.
var (
	tenantName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	labelName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@ -]{0,63}$`)
	modelPattern = regexp.MustCompile(`^[A-Za-z0-9._:/@+-]{0,127}\*?$`)
	headerValue  = regexp.MustCompile(`^[\x21-\x7e]{0,128}$`)
)

func check(field, value string, rule *regexp.Regexp) error {
	if !rule.MatchString(value) {
		return &InvalidError{field, "must match " + rule.String()}
	}
	return nil
}

func checkRoutes(routes []Route) error {
	for i, r := range routes {
		if err := errors.Join(check(fmt.Sprintf("routes[%d].model", i), r.Model, modelPattern),
			check(fmt.Sprintf("routes[%d].provider", i), r.Provider, providerName)); err != nil {
			return err
		}
	}
	return nil
}
