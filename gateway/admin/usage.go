package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/usage"
)

// Books are what the meter has kept: SQLite or ClickHouse.
type Books interface {
	// Usage answers a question about sums, ordered by key.
	Usage(ctx context.Context, q usage.Question) ([]usage.Row, error)
	// ListRequests calls each for every request that began in [from, to), in order;
	// of all tenants when tenant is empty.
	ListRequests(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Record) error) error
	// ListUnseals does so for unseals.
	ListUnseals(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Unseal) error) error
	invoice.Events
	// ListMemoryEvents does so for memory events.
	ListMemoryEvents(ctx context.Context, tenant string, from, to time.Time, each func(*meter.MemoryEvent) error) error
}

// UsageAPI answers questions about usage for both planes.
type UsageAPI struct {
	Books     Books
	Directory *directory.Directory
	Flush     func(ctx context.Context) error // brings the books up to date
	Now       func() time.Time
}

// usageView is the answer.
type usageView struct {
	Tenant string      `json:"tenant,omitempty"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	By     usage.By    `json:"by"`
	Rows   []usage.Row `json:"rows"`
}

// Answer answers the question in a raw query about a tenant; about all of them
// when tenant is empty. code is an error's, else empty. It does not bring the
// books up to date, which takes a write: tenants may ask as often as they like.
func (u *UsageAPI) Answer(ctx context.Context, tenant, rawQuery string) (status int, code string, body []byte) {
	var answer any
	status = http.StatusOK
	answer, err := u.answer(ctx, tenant, rawQuery)
	if err != nil {
		f := failureOf(err)
		status, code, answer = f.status, f.code, map[string]any{"error": bodyOf(f)}
	}
	if body, err = json.Marshal(answer); err != nil {
		panic("BUG: an answer can not be encoded: " + err.Error())
	}
	return status, code, body
}

func (u *UsageAPI) answer(ctx context.Context, tenant, rawQuery string) (*usageView, error) {
	q, err := u.question(tenant, rawQuery)
	if err != nil {
		return nil, err
	}
	rows, err := u.Books.Usage(ctx, q)
	if err != nil {
		return nil, unreadable(err)
	}
	u.label(ctx, tenant, q.By, rows)
	return &usageView{tenant, q.From, q.To, q.By, append([]usage.Row{}, rows...)}, nil
}

func (u *UsageAPI) question(tenant, rawQuery string) (q usage.Question, err error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, &failure{http.StatusBadRequest, "invalid_request", "", "the query can not be read"}
	}
	if q.By, err = usage.ParseBy(values.Get("by")); err != nil {
		return q, &failure{http.StatusBadRequest, "invalid_request", "by", err.Error()}
	}
	length := 30 * 24 * time.Hour
	if q.By == usage.ByHour {
		length = 24 * time.Hour
	}
	if q.From, q.To, err = timeRange(values, u.Now(), length); err != nil {
		return q, err
	}
	q.Tenant, q.Token = tenant, values.Get("token")
	return q.Whole(), nil
}

// timeRange reads from and to: by default the time up to now, of a length.
func timeRange(values url.Values, now time.Time, length time.Duration) (from, to time.Time, err error) {
	to = now.UTC()
	if s := values.Get("to"); s != "" {
		if to, err = parseTime("to", s); err != nil {
			return from, to, err
		}
	}
	from = to.Add(-length)
	if s := values.Get("from"); s != "" {
		if from, err = parseTime("from", s); err != nil {
			return from, to, err
		}
	}
	if !from.Before(to) {
		return from, to, &failure{http.StatusBadRequest, "invalid_request", "from", "from must be before to"}
	}
	return from, to, nil
}

func parseTime(param, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &failure{http.StatusBadRequest, "invalid_request", param, param + ": want a time such as 2026-11-23T10:00:00Z, or a day such as 2026-11-23"}
}

// label names ids as people do. Those of a tenant that was deleted have no
// names any more.
func (u *UsageAPI) label(ctx context.Context, tenant string, by usage.By, rows []usage.Row) {
	labels := map[string]string{}
	for _, t := range u.Directory.Tenants() {
		switch {
		case tenant != "" && t.ID != tenant:
		case by == usage.ByToken:
			tokens, _ := u.Directory.Tokens(ctx, t.ID)
			for _, token := range tokens {
				labels[token.ID] = token.Label
			}
		case by == usage.ByCredential:
			credentials, _ := u.Directory.Credentials(t.ID)
			for _, c := range credentials {
				labels[c.ID] = c.Provider + "/" + c.Label
			}
		}
	}
	for i := range rows {
		rows[i].Label = labels[rows[i].Key]
	}
}

// usage is the admin plane's call.
func (s *server) usage(w http.ResponseWriter, r *http.Request) error {
	tenant := r.URL.Query().Get("tenant")
	if tenant != "" {
		if _, err := s.Directory.Tenant(tenant); err != nil {
			return &failure{http.StatusNotFound, "not_found", "tenant", "there is no such tenant"}
		}
	}
	_ = s.Usage.Flush(r.Context()) // when it fails, what the books have is an answer still
	status, code, body := s.Usage.Answer(r.Context(), tenant, r.URL.RawQuery)
	if code != "" {
		w.Header().Set("Ownkey-Error", code)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // it is JSON of ours
	return nil
}
