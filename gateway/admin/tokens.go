package admin

import (
	"net/http"
	"time"

	"github.com/ownkey/ownkey/directory"
)

type tokenView struct {
	ID        string     `json:"id"`
	Token     string     `json:"token,omitempty"` // at its creation only
	Label     string     `json:"label"`
	Scopes    []string   `json:"scopes"`
	Models    []string   `json:"models"`
	Memory    string     `json:"memory"`
	Bucket    string     `json:"bucket"`
	CreatedAt *time.Time `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

func viewToken(t *directory.Token, plain string) tokenView {
	return tokenView{
		t.ID, plain, t.Label, append([]string{}, t.Scopes...), append([]string{}, t.Models...), t.Memory, t.Bucket,
		at(t.CreatedAt), at(t.ExpiresAt), at(t.RevokedAt),
	}
}

func (s *server) createToken(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Label     string     `json:"label"`
		Scopes    []string   `json:"scopes"`
		Models    []string   `json:"models"`
		ExpiresAt *time.Time `json:"expires_at"`
		Memory    string     `json:"memory"`
		Bucket    string     `json:"bucket"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	n := directory.NewToken{Label: in.Label, Scopes: in.Scopes, Models: in.Models, Memory: in.Memory, Bucket: in.Bucket}
	if n.Label == "" {
		n.Label = directory.DefaultLabel
	}
	if in.ExpiresAt != nil {
		n.ExpiresAt = *in.ExpiresAt
	}
	tenant := r.PathValue("tenant")
	plain, t, err := s.Directory.CreateToken(r.Context(), tenant, n)
	if err != nil {
		return err
	}
	s.changed("token created", tenant, t.ID)
	return write(w, http.StatusCreated, viewToken(t, plain))
}

func (s *server) listTokens(w http.ResponseWriter, r *http.Request) error {
	tokens, err := s.Directory.Tokens(r.PathValue("tenant"))
	if err != nil {
		return err
	}
	views := make([]tokenView, 0, len(tokens))
	for _, t := range tokens {
		views = append(views, viewToken(t, ""))
	}
	return write(w, http.StatusOK, map[string]any{"tokens": views})
}

func (s *server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	tenant, token := r.PathValue("tenant"), r.PathValue("token")
	if err := s.Directory.RevokeToken(r.Context(), tenant, token); err != nil {
		return err
	}
	s.changed("token revoked", tenant, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
