package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/vaultbridge"
)

type credentialView struct {
	ID           string     `json:"id"`
	Provider     string     `json:"provider"`
	Label        string     `json:"label"`
	BaseURL      string     `json:"base_url"`
	Host         string     `json:"host"`
	Organization string     `json:"organization"`
	Project      string     `json:"project"`
	Fingerprint  string     `json:"fingerprint"`
	KeyVersion   int        `json:"key_version"`
	CreatedAt    *time.Time `json:"created_at"`
	UpdatedAt    *time.Time `json:"updated_at"`
}

func viewCredential(c *directory.Credential) credentialView {
	return credentialView{
		c.ID, c.Provider, c.Label, c.BaseURL, c.Host, c.Organization, c.Project, c.Fingerprint, c.KeyVersion,
		at(c.CreatedAt), at(c.UpdatedAt),
	}
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
	*p = bytes.Clone(raw)
	return nil
}

func badSecret(why string) *failure {
	return &failure{http.StatusBadRequest, "invalid_request", "secret", "secret: " + why}
}

var _ json.Unmarshaler = (*plaintext)(nil)

func (s *server) putCredential(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Secret       plaintext `json:"secret"`
		BaseURL      string    `json:"base_url"`
		Organization string    `json:"organization"`
		Project      string    `json:"project"`
	}
	defer func() { clear(in.Secret) }()
	if err := read(r, &in); err != nil {
		return err
	}
	if len(in.Secret) == 0 {
		return badSecret("missing")
	}
	tenant, provider, label := r.PathValue("tenant"), r.PathValue("provider"), r.PathValue("label")
	host, err := s.host(provider, in.BaseURL)
	if err != nil {
		return err
	}
	id, err := s.Directory.CredentialID(tenant, provider, label)
	if err != nil {
		return err
	}
	bound := vaultbridge.Context{Tenant: tenant, CredentialID: id, Provider: provider, Host: host}
	sealed, err := s.Keyring.Seal(r.Context(), bound, in.Secret)
	if err != nil {
		return err
	}
	c, err := s.Directory.PutCredential(r.Context(), directory.Credential{
		ID: id, TenantID: tenant, Provider: provider, Label: label, BaseURL: in.BaseURL, Host: host,
		Organization: in.Organization, Project: in.Project,
		Sealed: sealed.Blob, KeyVersion: sealed.KeyVersion, Fingerprint: s.Keyring.Fingerprint(bound, in.Secret),
	})
	if err != nil {
		return err
	}
	s.changed("credential stored", tenant, c.ID)
	return write(w, http.StatusOK, viewCredential(c))
}

func (s *server) host(provider, baseURL string) (string, error) {
	host, err := s.Host(provider, baseURL)
	switch {
	case errors.Is(err, ErrUnknownProvider):
		return "", &failure{http.StatusBadRequest, "unknown_provider", "provider", "there is no such provider; add it to the configuration's providers"}
	case err != nil:
		return "", &failure{http.StatusBadRequest, "invalid_request", "base_url", "base_url: " + err.Error()}
	}
	return host, nil
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
	return write(w, http.StatusOK, viewCredential(c))
}

func (s *server) listCredentials(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Directory.Credentials(r.PathValue("tenant"))
	if err != nil {
		return err
	}
	views := make([]credentialView, 0, len(all))
	for _, c := range all {
		views = append(views, viewCredential(c))
	}
	return write(w, http.StatusOK, map[string]any{"credentials": views})
}

func (s *server) deleteCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	if err := s.Directory.DeleteCredential(r.Context(), c.TenantID, c.Provider, c.Label); err != nil {
		return err
	}
	s.changed("credential deleted", c.TenantID, c.ID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// testCredential tells whether the provider accepts a stored credential, by
// asking for its list of models.
func (s *server) testCredential(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	status, err := s.Test(r.Context(), c.TenantID, c.Provider, c.Label)
	if err != nil {
		return &failure{http.StatusBadGateway, "upstream_unreachable", "", "the provider could not be asked: " + err.Error()}
	}
	return write(w, http.StatusOK, map[string]any{"ok": status >= 200 && status < 300, "status": status})
}
