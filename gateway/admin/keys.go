package admin

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/vaultbridge"
)

// rotate adds a version to a tenant's key. Rows keep theirs until a rewrap.
func (s *server) rotate(w http.ResponseWriter, r *http.Request) error {
	tenant := r.PathValue("tenant")
	if _, err := s.Directory.Tenant(tenant); err != nil {
		return err
	}
	version, err := s.Ring.Current().Rotate(r.Context(), tenant)
	if errors.Is(err, vaultbridge.ErrUnsupported) && s.Ring.Current().Name() == vaultbridge.LocalName {
		return &failure{
			http.StatusNotImplemented, "not_supported", "",
			"the local keyring has no key of one tenant; add a line with a higher version to the master key file, restart, and run ownkey rewrap",
		}
	}
	if err != nil {
		return err
	}
	s.changed("key rotated", tenant, tenant)
	return write(w, http.StatusOK, map[string]any{"tenant": tenant, "key_version": version})
}

type rewrapView struct {
	Tenant      string                `json:"tenant"` // empty for all
	State       directory.RewrapState `json:"state"`
	Tenants     int                   `json:"tenants"`
	TenantsDone int                   `json:"tenants_done"`
	RowsDone    int                   `json:"rows_done"`
	RowsFailed  int                   `json:"rows_failed"`
	Trouble     string                `json:"trouble"`
	StartedAt   *time.Time            `json:"started_at"`
	FinishedAt  *time.Time            `json:"finished_at"`
}

func viewRewrap(r *directory.Rewrap) rewrapView {
	return rewrapView{r.TenantID, r.State, r.Tenants, r.TenantsDone, r.RowsDone, r.RowsFailed, r.Trouble, at(r.StartedAt), at(r.FinishedAt)}
}

// startRewrap begins a walk over the sealed rows, or shows the one that runs.
func (s *server) startRewrap(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Tenant string `json:"tenant"`
	}
	if r.ContentLength != 0 {
		if err := read(r, &in); err != nil {
			return err
		}
	}
	if _, err := s.Ring.Current().Newest(r.Context(), in.Tenant); errors.Is(err, vaultbridge.ErrUnsupported) {
		return err // it would wait for ever; in an outage it waits for its end
	}
	job, err := s.Directory.StartRewrap(r.Context(), in.Tenant)
	if errors.Is(err, directory.ErrExists) {
		return &failure{http.StatusConflict, "already_exists", "tenant", "another rewrap is running; see GET /admin/v1/rewrap, and try again when it is done"}
	}
	if err != nil {
		return err
	}
	s.Walker.Wake()
	return write(w, http.StatusAccepted, viewRewrap(job))
}

func (s *server) getRewrap(w http.ResponseWriter, r *http.Request) error {
	job, err := s.Directory.LastRewrap(r.Context())
	if errors.Is(err, directory.ErrNotFound) {
		return write(w, http.StatusOK, rewrapView{State: "none"})
	}
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, viewRewrap(job))
}

// doctor tells what can be proven about the key path, and the stores, as they
// are now.
func (s *server) doctor(w http.ResponseWriter, r *http.Request) error {
	findings := []vaultbridge.Finding{}
	for _, k := range s.Ring.All() {
		transit, ok := k.(*vaultbridge.Transit)
		if !ok {
			findings = append(findings, vaultbridge.NewFinding("keyring "+k.Name(),
				"a master key file on this machine: whoever has it and the database has every credential", vaultbridge.ErrUntested))
			continue
		}
		keys, err := s.keysOf(r, k.Name())
		if err != nil {
			return err
		}
		for _, f := range transit.Examine(r.Context(), keys) {
			f.Check = "keyring " + k.Name() + ": " + f.Check
			findings = append(findings, f)
		}
	}
	if s.Examine != nil {
		findings = append(findings, s.Examine(r.Context())...)
	}
	ok := true
	for _, f := range findings {
		ok = ok && f.OK
	}
	return write(w, http.StatusOK, map[string]any{"ok": ok, "findings": findings})
}

// keysOf lists the keys that have sealed a row of a keyring.
func (s *server) keysOf(r *http.Request, keyring string) ([]string, error) {
	seen := map[string]bool{}
	for _, t := range s.Directory.Tenants() {
		all, err := s.Directory.Credentials(t.ID)
		if err != nil {
			continue // deleted meanwhile
		}
		for _, c := range all {
			if name, err := vaultbridge.KeyName(t.ID, c.Key); err == nil && c.Keyring == keyring {
				seen[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), r.Context().Err()
}
