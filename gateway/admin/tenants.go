package admin

import (
	"net/http"
	"time"

	"github.com/ownkey/ownkey/directory"
)

type tenantView struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	DefaultProvider string            `json:"default_provider"`
	Routes          []directory.Route `json:"routes"`
	CreatedAt       *time.Time        `json:"created_at"`
}

func viewTenant(t *directory.Tenant) tenantView {
	routes := t.Routes
	if routes == nil {
		routes = []directory.Route{}
	}
	return tenantView{t.ID, t.Name, t.DefaultProvider, routes, at(t.CreatedAt)}
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

func (s *server) listTenants(w http.ResponseWriter, _ *http.Request) error {
	all := s.Directory.Tenants()
	views := make([]tenantView, 0, len(all))
	for _, t := range all {
		views = append(views, viewTenant(t))
	}
	return write(w, http.StatusOK, map[string]any{"tenants": views})
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
	}
	if err := read(r, &in); err != nil {
		return err
	}
	t, err := s.Directory.UpdateTenant(r.Context(), r.PathValue("tenant"),
		directory.TenantChange{Name: in.Name, DefaultProvider: in.DefaultProvider, Routes: in.Routes})
	if err != nil {
		return err
	}
	s.changed("tenant updated", t.ID, t.ID)
	return write(w, http.StatusOK, viewTenant(t))
}

func (s *server) deleteTenant(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("shred") == "true" {
		return &failure{
			http.StatusNotImplemented, "not_supported", "shred",
			"the local keyring has one master key for all tenants, so there is no key of this tenant to destroy; delete without shred overwrites its ciphertexts",
		}
	}
	tenant := r.PathValue("tenant")
	if err := s.Directory.DeleteTenant(r.Context(), tenant); err != nil {
		return err
	}
	s.changed("tenant deleted", tenant, tenant)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
