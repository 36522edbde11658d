package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/usage"
)

// Books are what the meter has kept: SQLite or ClickHouse.
type Books interface {
	// Usage answers a question about sums, in the order that Question.PerTenant
	// says, up to its limit.
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
	// Stored gives what a tenant has stored as memories; nil leaves it out.
	Stored func(ctx context.Context, tenant string) (Stored, error)
	Flush  func(ctx context.Context) error // brings the books up to date
	Now    func() time.Time

	questions Questions
}

// Stored is what a tenant has stored as memories now: a state, not a sum over
// the time that is asked for, and on no invoice.
type Stored struct {
	Buckets  int64 `json:"buckets"`
	Memories int64 `json:"memories"`
	Bytes    int64 `json:"bytes"` // of contents, present and former
}

// usageView is the answer.
type usageView struct {
	Tenant string      `json:"tenant,omitempty"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	By     usage.By    `json:"by"`
	Rows   []usage.Row `json:"rows"`
	// Next is the cursor of the next page; absent on the last one.
	Next   string  `json:"next,omitempty"`
	Stored *Stored `json:"stored,omitempty"` // of one tenant
}

// Answer answers the question in a raw query about a tenant; about all of them
// when tenant is empty. code is an error's, else empty. It does not bring the
// books up to date, which takes a write. It ends when ctx does. Few questions are
// answered at once, and two of a tenant.
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
	if err := u.questions.enter(ctx, tenant); err != nil {
		return nil, err
	}
	defer u.questions.leave(tenant)
	limit := q.Limit
	q.Limit++ // one more says whether there is another page
	rows, err := u.Books.Usage(ctx, q)
	if err != nil {
		return nil, unreadable(err)
	}
	view := &usageView{Tenant: tenant, From: q.From, To: q.To, By: q.By}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		view.Next = writeCursor(usageCursor{last.Tenant, last.Key})
	}
	u.label(ctx, tenant, q.By, rows)
	view.Rows = append([]usage.Row{}, rows...)
	if tenant != "" && u.Stored != nil {
		stored, err := u.Stored(ctx, tenant)
		if err != nil {
			return nil, unreadable(err)
		}
		view.Stored = &stored
	}
	return view, nil
}

// usageCursor is the row that ended a page.
type usageCursor struct {
	Tenant string `json:"t,omitempty"`
	Key    string `json:"k"`
}

func (u *UsageAPI) question(tenant, rawQuery string) (q usage.Question, err error) {
	if err := onlyKnown(rawQuery, parameters["GET /admin/v1/usage"]); err != nil {
		return q, err
	}
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
	if q.Limit, err = pageLimit(values); err != nil {
		return q, err
	}
	var after usageCursor
	if q.After.Set, err = readCursor(values, &after); err != nil {
		return q, err
	}
	q.After.Tenant, q.After.Key = after.Tenant, after.Key
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

// Years of times that can be asked about: there are records of none before, and a
// time near the year 10000 has no form in JSON when it is rounded up.
const (
	firstYear = 1970
	lastYear  = 2199
)

func parseTime(param, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t = t.UTC(); t.Year() < firstYear || t.Year() > lastYear {
			return t, &failure{http.StatusBadRequest, "invalid_request", param, param + ": want a time of the years " + strconv.Itoa(firstYear) + " to " + strconv.Itoa(lastYear)}
		}
		return t, nil
	}
	return time.Time{}, &failure{http.StatusBadRequest, "invalid_request", param, param + ": want a time such as 2026-11-23T10:00:00Z, or a day such as 2026-11-23"}
}

// label names the ids of a page as people do. Only those that are on the page
// are looked up. Those of a tenant that was deleted have no names any more.
func (u *UsageAPI) label(ctx context.Context, tenant string, by usage.By, rows []usage.Row) {
	ids := map[string][]string{}
	for i := range rows {
		of := cmp.Or(rows[i].Tenant, tenant)
		ids[of] = append(ids[of], rows[i].Key)
	}
	known := make(map[string]map[string]string, len(ids))
	for of := range ids {
		known[of] = u.labels(ctx, of, by, ids[of])
	}
	for i := range rows {
		rows[i].Label = known[cmp.Or(rows[i].Tenant, tenant)][rows[i].Key]
	}
}

// labels are the names of a tenant's tokens or credentials, by id.
func (u *UsageAPI) labels(ctx context.Context, tenant string, by usage.By, ids []string) map[string]string {
	labels := map[string]string{}
	switch by {
	case usage.ByToken:
		labels, _ = u.Directory.TokenLabels(ctx, tenant, ids) // without, there are ids
	case usage.ByCredential:
		credentials, _ := u.Directory.Credentials(tenant)
		for _, c := range credentials {
			labels[c.ID] = c.Provider + "/" + c.Label
		}
	}
	return labels
}

// known refuses a tenant that is not there; an empty name stands for all. Where a
// deleted tenant's rows can be asked for, it is called when there are none.
func (s *server) known(tenant string) error {
	if tenant == "" {
		return nil
	}
	if _, err := s.Directory.Tenant(tenant); err != nil {
		return &failure{http.StatusNotFound, "not_found", "tenant", "there is no such tenant"}
	}
	return nil
}

// usage is the admin plane's call.
func (s *server) usage(w http.ResponseWriter, r *http.Request) error {
	tenant := r.URL.Query().Get("tenant")
	if err := s.known(tenant); err != nil {
		return err
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
