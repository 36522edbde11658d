package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/vaultbridge"
)

type tenantView struct {
	ID              string                   `json:"id"`
	Name            string                   `json:"name"`
	DefaultProvider string                   `json:"default_provider"`
	Routes          []directory.Route        `json:"routes"`
	Memory          directory.MemorySettings `json:"memory"`
	Limits          directory.Limits         `json:"limits"`
	CreatedAt       *time.Time               `json:"created_at"`
	SuspendedAt     *time.Time               `json:"suspended_at"`
}

func viewTenant(t *directory.Tenant) tenantView {
	routes := t.Routes
	if routes == nil {
		routes = []directory.Route{}
	}
	return tenantView{t.ID, t.Name, t.DefaultProvider, routes, t.Memory, t.Limits, at(t.CreatedAt), at(t.SuspendedAt)}
}

// at is a time as JSON has it: null for none.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *server) createTenant(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	t, err := s.Directory.CreateTenant(r.Context(), in.ID, in.Name)
	if err != nil {
		return err
	}
	s.changed("tenant created", t.ID, t.ID)
	return write(w, http.StatusCreated, viewTenant(t))
}

func (s *server) listTenants(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	all, err := s.Directory.TenantPage(r.Context(), p.cursor, p.limit+1)
	if err != nil {
		return err
	}
	all, more := cut(p, all)
	next := ""
	if more {
		next = all[p.limit-1].ID
	}
	views := make([]tenantView, 0, len(all))
	for _, t := range all {
		views = append(views, viewTenant(t))
	}
	return write(w, http.StatusOK, map[string]any{"tenants": views, "next": next})
}

func (s *server) getTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Directory.Tenant(r.PathValue("tenant"))
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, viewTenant(t))
}

func (s *server) updateTenant(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name            *string            `json:"name"`
		DefaultProvider *string            `json:"default_provider"`
		Routes          *[]directory.Route `json:"routes"`
		Memory          json.RawMessage    `json:"memory"`
		Limits          json.RawMessage    `json:"limits"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	var limits directory.LimitsChange
	var memory directory.MemoryChange
	if err := errors.Join(readMember(in.Memory, "memory", &memory), readMember(in.Limits, "limits", &limits)); err != nil {
		return err
	}
	t, err := s.Directory.UpdateTenant(r.Context(), r.PathValue("tenant"), directory.TenantChange{
		Name: in.Name, DefaultProvider: in.DefaultProvider, Routes: in.Routes, Memory: &memory, Limits: &limits,
	})
	if err != nil {
		return err
	}
	s.changed("tenant updated", t.ID, t.ID)
	return write(w, http.StatusOK, viewTenant(t))
}

// readMember reads a member that is an object into the struct that v points to:
// what it does not name stays.
func readMember(raw json.RawMessage, name string, v any) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return &failure{http.StatusBadRequest, "invalid_request", name, name + ": must be a JSON object"}
	}
	for member := range members {
		if !slices.Contains(memberNames(v), member) {
			at := name + "." + member
			return &failure{http.StatusBadRequest, "invalid_request", at, "there is no member " + at + "; there are: " + strings.Join(memberNames(v), ", ")}
		}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		f := badBody(err)
		if f.param != "" {
			f.param, f.message = name+"."+f.param, name+"."+f.message
		}
		return f
	}
	return nil
}

// deleteTenant ends a tenant, and with ?shred=true its key. Both are written
// down together, so that the key ends even if Vault is away now. A call that
// finds the tenant deleted and its key not yet destroyed goes on with that.
func (s *server) deleteTenant(w http.ResponseWriter, r *http.Request) error {
	tenant := r.PathValue("tenant")
	shred := r.URL.Query().Get("shred")
	if shred != "" && shred != "true" && shred != "false" {
		return &failure{http.StatusBadRequest, "invalid_request", "shred", "shred: must be true or false"}
	}
	if shred == "true" {
		if err := s.mayShred(r.Context(), tenant); err != nil {
			return err
		}
	}
	err := s.Directory.DeleteTenant(r.Context(), tenant, shred == "true")
	switch {
	case err == nil, errors.Is(err, directory.ErrErasing):
		s.changed("tenant deleted", tenant, tenant)
	case shred == "true" && errors.Is(err, directory.ErrNotFound) && s.shredPending(r.Context(), tenant):
	default:
		return err
	}
	if shred == "true" {
		if err := s.shred(r.Context(), tenant); err != nil {
			return &failure{
				http.StatusServiceUnavailable, "vault_unavailable", "",
				"the tenant is deleted; its key is not destroyed yet, because the key store can not be used. The gateway goes on trying; repeat the call to see",
			}
		}
	}
	return writeDeleted(w, err)
}

// writeDeleted answers to a deletion: 204 when nothing of it is in the store's
// files any more, 202 when a reader, such as a backup, holds that up.
func writeDeleted(w http.ResponseWriter, err error) error {
	if errors.Is(err, directory.ErrErasing) {
		return write(w, http.StatusAccepted, map[string]any{"deleted": true, "erased": false})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) shredPending(ctx context.Context, tenant string) bool {
	pending, err := s.Directory.PendingShreds(ctx)
	return err == nil && slices.ContainsFunc(pending, func(p directory.Shred) bool { return p.TenantID == tenant })
}

// shred destroys the keys of a tenant whose deletion has noted that; it is no
// error when that is done already.
func (s *server) shred(ctx context.Context, tenant string) error {
	pending, err := s.Directory.PendingShreds(ctx)
	for _, p := range pending {
		if p.TenantID == tenant {
			err = s.Walker.Shred(ctx, p)
		}
	}
	return err
}

// mayShred refuses to promise what the keyrings can not do: rows under a
// keyring without a key per tenant would outlive the tenant's key.
func (s *server) mayShred(ctx context.Context, tenant string) error {
	if s.Ring.Current().Name() == vaultbridge.LocalName {
		return &failure{
			http.StatusNotImplemented, "not_supported", "shred",
			"the local keyring has one master key for all tenants, so there is no key of this tenant to destroy; delete without shred overwrites its ciphertexts",
		}
	}
	for _, k := range s.Ring.All() {
		if _, err := k.Newest(ctx, tenant); errors.Is(err, vaultbridge.ErrUnsupported) {
			return err // no identity that could destroy anything; an outage is another matter
		}
	}
	rows, err := s.Directory.SealedRows(ctx, tenant)
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Keyring != s.Ring.Current().Name() {
			return &failure{
				http.StatusConflict, "not_rewrapped", "shred",
				"credentials of this tenant are still sealed by keyring " + rows[i].Keyring + "; run ownkey rewrap --tenant " + tenant + " first, or delete without shred",
			}
		}
	}
	return nil
}
