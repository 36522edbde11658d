package admin

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/reconcile"
)

// EvidenceBooks are what evidence and reconciliation are made from.
type EvidenceBooks interface {
	evidence.Store
	reconcile.Store
	// Columns are those of a row about a call.
	Columns(ctx context.Context) ([]evidence.Column, error)
}

// evidenceTime is what is looked at when nothing else is asked for.
const evidenceTime = 30 * 24 * time.Hour

// getEvidence answers whose name is on a tenant's invoice.
func (s *server) getEvidence(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	format := values.Get("format")
	if format == "" {
		format = evidence.JSON
	}
	if evidence.ContentType(format) == "" {
		return &failure{http.StatusBadRequest, "invalid_request", "format", "format: want json, text or html"}
	}
	from, to, err := timeRange(values, s.Usage.Now(), evidenceTime)
	if err != nil {
		return err
	}
	q := evidence.Question{Tenant: r.PathValue("tenant"), From: from, To: to, Now: s.Usage.Now(), Platform: s.Platform()}
	stored, err := s.Directory.Credentials(q.Tenant)
	if err != nil {
		return err
	}
	for _, c := range stored {
		q.Credentials = append(q.Credentials, evidence.Credential{ID: c.ID, Provider: c.Provider, Label: c.Label, Fingerprint: c.Fingerprint, Organization: c.Organization})
	}
	_ = s.Usage.Flush(r.Context()) // what the books have is an answer still
	if q.Stored, err = s.Evidence.Columns(r.Context()); err != nil {
		return unreadable(err)
	}
	report, err := evidence.Answer(r.Context(), s.Evidence, q)
	if err != nil {
		return unreadable(err)
	}
	if report.Calls == 0 {
		if err := s.known(q.Tenant); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := report.Write(&b, format); err != nil {
		return err
	}
	w.Header().Set("Content-Type", evidence.ContentType(format))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = b.WriteTo(w) // a client that left needs no answer
	return nil
}

// unreadable is a store of records that can not be asked.
func unreadable(err error) error {
	return errors.Join(&failure{http.StatusServiceUnavailable, "store_unavailable", "", "the records can not be read; try again"}, err)
}

// daily answers what we have counted, for a comparison with a provider's own
// export: a page of it.
func (s *server) daily(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	from, to, err := timeRange(values, s.Usage.Now(), evidenceTime)
	if err != nil {
		return err
	}
	provider := values.Get("provider")
	if provider == "" {
		return &failure{http.StatusBadRequest, "invalid_request", "provider", "provider: missing"}
	}
	q := reconcile.Question{Provider: provider, Tenant: values.Get("tenant"), From: from, To: to}
	if q.Limit, err = pageLimit(values); err != nil {
		return err
	}
	limit := q.Limit
	q.Limit++ // one more says whether there is another page
	var after reconcile.Place
	if given, err := readCursor(values, &after); err != nil {
		return err
	} else if given {
		q.After = &after
	}
	_ = s.Usage.Flush(r.Context()) // what the books have is an answer still
	rows, err := s.Evidence.Daily(r.Context(), q)
	if err != nil {
		return unreadable(err)
	}
	if len(rows) == 0 {
		if err := s.known(q.Tenant); err != nil {
			return err
		}
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		last := &rows[limit-1]
		next = writeCursor(reconcile.Place{Day: last.Day, Model: last.Model, CredentialID: last.CredentialID})
	}
	return write(w, http.StatusOK, map[string]any{"from": from, "to": to, "rows": append([]reconcile.Daily{}, rows...), "next": next})
}
