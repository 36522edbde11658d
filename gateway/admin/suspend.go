package admin

import "net/http"

// suspendTenant refuses a tenant's calls, at once here and within two seconds
// elsewhere, and cuts its streams where the configuration says so.
func (s *server) suspendTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Directory.SuspendTenant(r.Context(), r.PathValue("tenant"))
	if err != nil {
		return err
	}
	s.changed("tenant suspended", t.ID, t.ID)
	return write(w, http.StatusOK, viewTenant(t))
}

func (s *server) resumeTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Directory.ResumeTenant(r.Context(), r.PathValue("tenant"))
	if err != nil {
		return err
	}
	s.changed("tenant resumed", t.ID, t.ID)
	return write(w, http.StatusOK, viewTenant(t))
}
