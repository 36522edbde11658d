package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/retention"
)

type tokenView struct {
	ID          string            `json:"id"`
	Token       string            `json:"token,omitempty"` // at its creation only
	Label       string            `json:"label"`
	Scopes      []string          `json:"scopes"`
	Models      []string          `json:"models"`
	Endpoints   []string          `json:"endpoints"`
	Credentials []string          `json:"credentials"`
	AllowFrom   []string          `json:"allow_from"`
	Memory      string            `json:"memory"`
	MemoryTTL   string            `json:"memory_ttl"`
	Bucket      string            `json:"bucket"`
	Buckets     directory.Buckets `json:"buckets"`
	Unconfined  bool              `json:"unconfined,omitempty"` // from before buckets were walls
	Limits      directory.Limits  `json:"limits"`
	CreatedAt   *time.Time        `json:"created_at"`
	ExpiresAt   *time.Time        `json:"expires_at"`
	RevokedAt   *time.Time        `json:"revoked_at"`
	StoppedAt   *time.Time        `json:"stopped_at"`
	StopReason  string            `json:"stop_reason"`
}

func viewToken(t *directory.Token, plain string) tokenView {
	return tokenView{
		t.ID, plain, t.Label, append([]string{}, t.Scopes...), append([]string{}, t.Models...), append([]string{}, t.Endpoints...),
		append([]string{}, t.Credentials...), append([]string{}, t.AllowFrom...), t.Memory, retention.Text(t.MemoryTTL), t.Bucket, t.UsableBuckets(), t.Unconfined, t.Limits,
		at(t.CreatedAt), at(t.ExpiresAt), at(t.RevokedAt), at(t.StoppedAt), t.StopReason,
	}
}

func (s *server) createToken(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Label       string          `json:"label"`
		Scopes      []string        `json:"scopes"`
		Models      []string        `json:"models"`
		Endpoints   []string        `json:"endpoints"`
		Credentials []string        `json:"credentials"`
		AllowFrom   []string        `json:"allow_from"`
		ExpiresAt   *time.Time      `json:"expires_at"`
		Memory      string          `json:"memory"`
		MemoryTTL   string          `json:"memory_ttl"`
		Bucket      string          `json:"bucket"`
		Buckets     json.RawMessage `json:"buckets"`
		Limits      json.RawMessage `json:"limits"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	n := directory.NewToken{
		Label: in.Label, Scopes: in.Scopes, Models: in.Models, Endpoints: in.Endpoints, Credentials: in.Credentials, AllowFrom: in.AllowFrom, Memory: in.Memory, MemoryTTL: in.MemoryTTL, Bucket: in.Bucket,
	}
	var err error
	if n.Buckets, err = readBuckets(in.Buckets); err != nil {
		return err
	}
	if err := readMember(in.Limits, "limits", &n.Limits); err != nil {
		return err
	}
	if n.Label == "" {
		n.Label = directory.DefaultLabel
	}
	if in.ExpiresAt != nil {
		n.ExpiresAt = *in.ExpiresAt
		if n.ExpiresAt.IsZero() { // the year 1, which would be never
			return &directory.InvalidError{Field: "expires_at", Reason: "must lie in the future"}
		}
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
	p, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	var after directory.TokenPlace
	if _, err := readCursor(r.URL.Query(), &after); err != nil {
		return err
	}
	tokens, err := s.Directory.Tokens(r.Context(), r.PathValue("tenant"), after, p.limit+1)
	if err != nil {
		return err
	}
	tokens, more := cut(p, tokens)
	next := ""
	if more {
		last := tokens[p.limit-1]
		next = writeCursor(directory.TokenPlace{CreatedAt: last.CreatedAt, ID: last.ID})
	}
	views := make([]tokenView, 0, len(tokens))
	for _, t := range tokens {
		views = append(views, viewToken(t, ""))
	}
	return write(w, http.StatusOK, map[string]any{"tokens": views, "next": next})
}

// readBuckets reads the member buckets; nil where it is left out.
func readBuckets(raw json.RawMessage) (*directory.Buckets, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	b := &directory.Buckets{}
	return b, readMember(raw, "buckets", b)
}

// updateToken changes what a token may use: what is named.
func (s *server) updateToken(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Scopes      *[]string       `json:"scopes"`
		Models      *[]string       `json:"models"`
		Endpoints   *[]string       `json:"endpoints"`
		Credentials *[]string       `json:"credentials"`
		AllowFrom   *[]string       `json:"allow_from"`
		Memory      *string         `json:"memory"`
		MemoryTTL   *string         `json:"memory_ttl"`
		Bucket      *string         `json:"bucket"`
		Buckets     json.RawMessage `json:"buckets"`
		Limits      json.RawMessage `json:"limits"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	tenant, id := r.PathValue("tenant"), r.PathValue("token")
	var limits directory.LimitsChange
	buckets, err := readBuckets(in.Buckets)
	if err != nil {
		return err
	}
	if err := readMember(in.Limits, "limits", &limits); err != nil {
		return err
	}
	t, err := s.Directory.UpdateToken(r.Context(), tenant, id, directory.TokenChange{
		Scopes: in.Scopes, Models: in.Models, Endpoints: in.Endpoints, Credentials: in.Credentials, AllowFrom: in.AllowFrom, Memory: in.Memory, MemoryTTL: in.MemoryTTL, Bucket: in.Bucket,
		Buckets: buckets, Limits: &limits,
	})
	if err != nil {
		return err
	}
	s.changed("token updated", tenant, id)
	return write(w, http.StatusOK, viewToken(t, ""))
}

func (s *server) stopToken(w http.ResponseWriter, r *http.Request) error {
	tenant, id := r.PathValue("tenant"), r.PathValue("token")
	t, err := s.Directory.StopToken(r.Context(), tenant, id, "stopped by an operator")
	if err != nil {
		return err
	}
	s.changed("token stopped", tenant, id)
	return write(w, http.StatusOK, viewToken(t, ""))
}

func (s *server) resumeToken(w http.ResponseWriter, r *http.Request) error {
	tenant, id := r.PathValue("tenant"), r.PathValue("token")
	t, err := s.Directory.ResumeToken(r.Context(), tenant, id)
	if err != nil {
		return err
	}
	s.changed("token resumed", tenant, id)
	return write(w, http.StatusOK, viewToken(t, ""))
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
