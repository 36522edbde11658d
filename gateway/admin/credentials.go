package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/vaultbridge"
)

type credentialView struct {
	ID           string     `json:"id"`
	Provider     string     `json:"provider"`
	Label        string     `json:"label"`
	BaseURL      string     `json:"base_url"`
	Host         string     `json:"host"`
	Address      string     `json:"address"` // what the secret is bound to; empty for host alone
	Organization string     `json:"organization"`
	Project      string     `json:"project"`
	Keyring      string     `json:"keyring"`
	Key          string     `json:"key"` // its name in Vault; empty where tenants have no keys of their own
	Fingerprint  string     `json:"fingerprint"`
	KeyVersion   int        `json:"key_version"`
	CreatedAt    *time.Time `json:"created_at"`
	UpdatedAt    *time.Time `json:"updated_at"`
	// Replaced is what a rollback brings back; in lists it is left out.
	Replaced *replacedView `json:"replaced,omitempty"`
}

type replacedView struct {
	Fingerprint string     `json:"fingerprint"`
	KeyVersion  int        `json:"key_version"`
	ReplacedAt  *time.Time `json:"replaced_at"`
}

func viewCredential(c *directory.Credential) credentialView {
	key := ""
	if c.Keyring != vaultbridge.LocalName {
		key, _ = vaultbridge.KeyName(c.TenantID, c.Key) // what is nobody's key is not named
	}
	return credentialView{
		ID: c.ID, Provider: c.Provider, Label: c.Label, BaseURL: c.BaseURL, Host: c.Host, Address: c.Address,
		Organization: c.Organization, Project: c.Project, Keyring: c.Keyring, Key: key, Fingerprint: c.Fingerprint, KeyVersion: c.KeyVersion, CreatedAt: at(c.CreatedAt), UpdatedAt: at(c.UpdatedAt),
	}
}

// writeCredential answers with one credential and what it was before.
func (s *server) writeCredential(w http.ResponseWriter, r *http.Request, c *directory.Credential) error {
	view := viewCredential(c)
	before, err := s.Directory.Replaced(r.Context(), c.ID)
	switch {
	case err == nil:
		view.Replaced = &replacedView{before.Fingerprint, before.KeyVersion, at(before.ReplacedAt)}
	case !errors.Is(err, directory.ErrNotFound):
		return err
	}
	return write(w, http.StatusOK, view)
}

// plaintext is a secret on its way into the keyring: bytes, never a string, so
// that it can be wiped.
type plaintext []byte

// UnmarshalJSON takes a JSON string without escapes, which is how every
// provider's credential is written, and drops white space around it.
func (p *plaintext) UnmarshalJSON(raw []byte) error {
	if len(raw) < 2 || raw[0] != '"' {
		return badSecret("must be a string")
	}
	raw = raw[1 : len(raw)-1]
	for _, pasted := range []string{`\n`, `\r`, " "} { // a pasted line end is not part of it
		for bytes.HasSuffix(raw, []byte(pasted)) {
			raw = raw[:len(raw)-len(pasted)]
		}
	}
	raw = bytes.TrimLeft(raw, " ")
	for _, c := range raw {
		if c <= ' ' || c > '~' || c == '\\' {
			return badSecret("must be printable ASCII without spaces")
		}
	}
	if len(raw) == 0 {
		return badSecret("must not be empty")
	}
	clear(*p) // of a member that stands twice
	*p = bytes.Clone(raw)
	return nil
}

func badSecret(why string) *failure {
	return &failure{http.StatusBadRequest, "invalid_request", "secret", "secret: " + why}
}

var _ json.Unmarshaler = (*plaintext)(nil)

// sealTime bounds the time from sealing a credential to having it stored. It is
// shorter than the rotation's settle time: no key version is shut while a
// ciphertext of it is on its way into the database.
const sealTime = 5 * time.Second

func (s *server) putCredential(w http.ResponseWriter, r *http.Request) error {
	fault.At("admin.put")
	var in struct {
		Secret       plaintext `json:"secret"`
		BaseURL      string    `json:"base_url"`
		Organization string    `json:"organization"`
		Project      string    `json:"project"`
		Test         bool      `json:"test"`
	}
	defer func() { clear(in.Secret) }()
	if err := read(r, &in); err != nil {
		return err
	}
	if len(in.Secret) == 0 {
		return badSecret("missing")
	}
	next := directory.Credential{
		TenantID: r.PathValue("tenant"), Provider: r.PathValue("provider"), Label: r.PathValue("label"),
		BaseURL: in.BaseURL, Organization: in.Organization, Project: in.Project,
	}
	var err error
	if next.Address, next.Host, err = s.address(next.Provider, in.BaseURL); err != nil {
		return err
	}
	if in.Test {
		if next.ID, err = s.Directory.CredentialID(next.TenantID, next.Provider, next.Label); err != nil {
			return err
		}
		if err := s.tryCredential(r.Context(), next, in.Secret); err != nil {
			return err
		}
	}
	c, err := s.store(r.Context(), next, in.Secret)
	if errors.Is(err, directory.ErrChanged) { // somebody stored or deleted it at the same moment; ours is the later one
		c, err = s.store(r.Context(), next, in.Secret)
	}
	if err != nil {
		return err
	}
	s.changed("credential stored", c.TenantID, c.ID)
	return s.writeCredential(w, r, c)
}

// store seals a secret for the id that its name has now, and stores it.
func (s *server) store(ctx context.Context, next directory.Credential, secret []byte) (*directory.Credential, error) {
	ctx, stop := context.WithTimeout(ctx, sealTime)
	defer stop()
	var err error
	if next.ID, err = s.Directory.CredentialID(next.TenantID, next.Provider, next.Label); err != nil {
		return nil, err
	}
	if err := s.seal(ctx, &next, secret); err != nil {
		return nil, err
	}
	return s.Directory.PutCredential(ctx, next)
}

func (s *server) seal(ctx context.Context, c *directory.Credential, secret []byte) error {
	sealed, err := s.Ring.Current().Seal(ctx, vaultbridge.Context{Tenant: c.TenantID, CredentialID: c.ID, Provider: c.Provider, Address: c.Address}, secret)
	c.Keyring, c.Key, c.Sealed, c.KeyVersion, c.Fingerprint = sealed.Keyring, sealed.Key, sealed.Blob, sealed.KeyVersion, sealed.Fingerprint
	return err
}

// tryCredential has the provider asked with a credential that is not stored
// yet, the whole way that a request takes. What is stored stays in use.
func (s *server) tryCredential(ctx context.Context, c directory.Credential, secret []byte) error {
	if err := s.seal(ctx, &c, secret); err != nil {
		return err
	}
	status, err := s.Test(ctx, &c)
	if err != nil {
		return &failure{http.StatusBadGateway, "upstream_unreachable", "", "nothing was changed; the provider could not be asked: " + err.Error()}
	}
	if status < 200 || status > 299 {
		return &failure{
			http.StatusUnprocessableEntity, "credential_refused", "secret",
			"nothing was changed; the provider answered with status " + strconv.Itoa(status) + " to a call with this secret",
		}
	}
	return nil
}

// address gives what a credential is to be bound to, and its host:port.
func (s *server) address(provider, baseURL string) (address, host string, err error) {
	address, err = s.Address(provider, baseURL)
	switch {
	case errors.Is(err, ErrUnknownProvider):
		return "", "", &failure{http.StatusBadRequest, "unknown_provider", "provider", "there is no such provider; add it to the configuration's providers"}
	case err != nil:
		return "", "", &failure{http.StatusBadRequest, "invalid_request", "base_url", "base_url: " + err.Error()}
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", err
	}
	return address, u.Host, nil
}

func (s *server) find(r *http.Request) (*directory.Credential, error) {
	t, err := s.Directory.Tenant(r.PathValue("tenant"))
	if err != nil {
		return nil, err
	}
	return t.Credential(r.PathValue("provider"), r.PathValue("label"))
}

func (s *server) getCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	return s.writeCredential(w, r, c)
}

func (s *server) listCredentials(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	var after credentialPlace
	given, err := readCursor(r.URL.Query(), &after)
	if err != nil {
		return err
	}
	all, err := s.Directory.Credentials(r.PathValue("tenant"))
	if err != nil {
		return err
	}
	if given {
		at, found := slices.BinarySearchFunc(all, after, func(c *directory.Credential, after credentialPlace) int {
			return cmp.Or(cmp.Compare(c.Provider, after.Provider), cmp.Compare(c.Label, after.Label))
		})
		if found {
			at++
		}
		all = all[at:]
	}
	all, more := cut(p, all)
	next := ""
	if more {
		last := all[p.limit-1]
		next = writeCursor(credentialPlace{last.Provider, last.Label})
	}
	views := make([]credentialView, 0, len(all))
	for _, c := range all {
		views = append(views, viewCredential(c))
	}
	return write(w, http.StatusOK, map[string]any{"credentials": views, "next": next})
}

// credentialPlace is a place in the list of a tenant's credentials.
type credentialPlace struct{ Provider, Label string }

func (s *server) deleteCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	err = s.Directory.DeleteCredential(r.Context(), c.TenantID, c.Provider, c.Label)
	if err != nil && !errors.Is(err, directory.ErrErasing) {
		return err
	}
	s.changed("credential deleted", c.TenantID, c.ID)
	return writeDeleted(w, err)
}

// testCredential tells whether the provider accepts a stored credential, by
// asking for its list of models. When it does, the new secret is proven, and
// what it has replaced is forgotten.
func (s *server) testCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	status, err := s.Test(r.Context(), c)
	if err != nil {
		return &failure{http.StatusBadGateway, "upstream_unreachable", "", "the provider could not be asked: " + err.Error()}
	}
	ok := status >= 200 && status < 300
	if ok {
		if err := s.Directory.ForgetReplaced(r.Context(), c); err != nil && !errors.Is(err, directory.ErrErasing) {
			return err
		}
	}
	return write(w, http.StatusOK, map[string]any{"ok": ok, "status": status})
}

// rollBackCredential puts back what a credential was before it was replaced.
func (s *server) rollBackCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	c, err = s.Directory.RollBackCredential(r.Context(), c)
	if errors.Is(err, directory.ErrNotFound) {
		return &failure{
			http.StatusConflict, "nothing_to_roll_back", "",
			"there is nothing to go back to: the credential was never replaced, or a test has proven it since",
		}
	}
	if err != nil {
		return err
	}
	s.changed("credential rolled back", c.TenantID, c.ID)
	return s.writeCredential(w, r, c)
}
