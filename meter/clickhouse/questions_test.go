package clickhouse

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/reconcile"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/meter/usage"
)

// evidenceStore is what evidence and reconciliation ask of either store.
type evidenceStore interface {
	evidence.Store
	reconcile.Store
}

// TestSameRowsSameAnswers puts the same rows into ClickHouse and into SQLite,
// and asks both the same.
func TestSameRowsSameAnswers(t *testing.T) {
	b := newBed(t).open()
	defer b.close()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	embedded, err := sqlite.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	rows := batch(0, 2000)
	for i, r := range rows.Requests {
		r.Start = r.Start.AddDate(0, 0, i%3/2) // some on the day after
		if r.TenantID == "tenant-1" {
			r.ProviderOrganization = fmt.Sprint("org-", i/2) // more than a report names
		}
	}
	for _, u := range slices.Clone(rows.Unseals) {
		if u.Hedge {
			first := *u
			first.EventID, first.At, first.Hedge = meter.NewEventID(), u.At.Add(-20*time.Millisecond), false
			rows.Unseals = append(rows.Unseals, &first)
		}
	}
	slices.SortStableFunc(rows.Requests, func(a, b *meter.Record) int { return a.Start.Compare(b.Start) })
	b.take(rows)
	b.flush()
	if err := embedded.Take(t.Context(), rows); err != nil {
		t.Fatal(err)
	}

	to := start.Add(25 * time.Hour)
	for _, by := range []usage.By{usage.ByHour, usage.ByDay, usage.ByModel, usage.ByToken, usage.ByCredential} {
		for _, q := range []usage.Question{{From: start, To: to, By: by}, {Tenant: "tenant-3", From: start, To: to, By: by}, {Token: "token-1", From: start, To: to, By: by}} {
			one, err := b.Usage(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			other, err := embedded.Usage(t.Context(), q)
			if err != nil || len(one) != len(other) || len(one) == 0 {
				t.Fatalf("%+v: %d and %d rows, %v", q, len(one), len(other), err)
			}
			for i := range one {
				if one[i].Key != other[i].Key || one[i].Sums != other[i].Sums || one[i].SavedOutputTokens != other[i].SavedOutputTokens {
					t.Errorf("%+v:\n%+v\n%+v", q, one[i], other[i])
				}
				if x, y := one[i].Total.P95, other[i].Total.P95; math.Abs(x-y) > 0.06*x || (x == 0) != (one[i].Refused == one[i].Requests) {
					t.Errorf("%+v: p95 %v and %v", q, x, y)
				}
			}
		}
	}

	var requests []*meter.Record
	if err := b.ListRequests(t.Context(), "", start, to, func(r *meter.Record) error { requests = append(requests, r); return nil }); err != nil {
		t.Fatal(err)
	}
	byID := func(a, b *meter.Record) int { return strings.Compare(a.EventID.String(), b.EventID.String()) }
	want := slices.Clone(rows.Requests)
	slices.SortFunc(want, byID)
	slices.SortFunc(requests, byID)
	if !reflect.DeepEqual(requests, want) {
		t.Errorf("%d rows; the first: %+v\nwant %+v", len(requests), requests[0], want[0])
	}
	compare := func(what string, ask func(evidenceStore) (any, error)) {
		t.Helper()
		x, err := ask(b)
		y, oerr := ask(embedded)
		if err != nil || oerr != nil || !reflect.DeepEqual(x, y) || reflect.ValueOf(x).Len() == 0 {
			t.Errorf("%s: %v %v\n%+v\n%+v", what, err, oerr, x, y)
		}
	}
	calls := func(s evidenceStore) (any, error) { return s.Calls(t.Context(), "tenant-1", start, to) }
	compare("calls", calls)
	names, others := map[string]bool{}, int64(0)
	all, _ := calls(embedded)
	for _, c := range all.([]evidence.Calls) {
		if names[c.Organization] = true; c.Organization == evidence.OtherOrganizations {
			others += c.Calls
		}
	}
	if len(names) != evidence.MaxOrganizations+1 || others == 0 {
		t.Errorf("%d organizations are named, %d calls are of others", len(names), others)
	}
	compare("unseals", func(s evidenceStore) (any, error) { return s.UnsealCounts(t.Context(), "tenant-0", start, to) })
	for _, limit := range []int{1, 2, 3, 7, 1000} {
		for _, tenant := range []string{"", "tenant-2"} {
			compare(fmt.Sprint("daily of ", tenant, " in pages of ", limit), func(s evidenceStore) (any, error) {
				return daily(t, s, reconcile.Question{Provider: "openai", Tenant: tenant, From: start, To: to, Limit: limit})
			})
		}
	}
	whole, err := daily(t, b, reconcile.Question{Provider: "openai", From: start, To: to, Limit: 1000})
	if err != nil || len(whole) < 8 {
		t.Fatalf("%v, %d rows", err, len(whole))
	}
	for _, limit := range []int{1, 2, 3, 7} {
		if got, err := daily(t, embedded, reconcile.Question{Provider: "openai", From: start, To: to, Limit: limit}); err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("pages of %d: %v %+v\nwant %+v", limit, err, got, whole)
		}
	}
	if columns, err := b.Columns(t.Context()); err != nil || len(columns) < len(columnsOf(&meter.Record{})) {
		t.Errorf("%v %v", columns, err)
	}
	if columns, err := embedded.Columns(t.Context()); err != nil || len(columns) != len(columnsOf(&meter.Record{}))+len([]string{"counted_tokens"}) {
		t.Errorf("%v %v", columns, err)
	}
	n := 0
	if err := b.ListUnseals(t.Context(), "tenant-0", start, to, func(u *meter.Unseal) error { n++; return nil }); err != nil || n != len(rows.Unseals) {
		t.Errorf("%d unseals, %v", n, err)
	}
}

// daily follows the pages of a question.
func daily(t *testing.T, s reconcile.Store, q reconcile.Question) (all []reconcile.Daily, err error) {
	t.Helper()
	for {
		page, err := s.Daily(t.Context(), q)
		if err != nil || len(page) == 0 {
			return all, err
		}
		if len(page) > q.Limit {
			t.Errorf("a page of %d, want at most %d", len(page), q.Limit)
		}
		all = append(all, page...)
		last := &page[len(page)-1]
		q.After = &reconcile.Place{Day: last.Day, Model: last.Model, CredentialID: last.CredentialID}
	}
}

// TestBillingBook: each event once and in order, also one that was taken in
// twice; nothing that came after the watermark.
func TestBillingBook(t *testing.T) {
	b := newBed(t).open()
	defer b.close()
	rows := batch(0, 400)
	rows.Requests, rows.Unseals = nil, nil
	for i, m := range rows.Memory {
		m.Op = meter.MemoryOp(i % 3)
	}
	b.take(rows)
	b.take(&drain.Batch{Gateway: gateway, Memory: rows.Memory[:10]}) // as after a window that was too short
	b.flush()
	events := func(watermark time.Time) (all []*meter.MemoryEvent) {
		t.Helper()
		err := b.MemoryEvents(t.Context(), "tenant-0", time.Time{}, start.Add(time.Minute), start.Add(time.Hour), watermark, func(m *meter.MemoryEvent) error {
			all = append(all, m)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := events(time.Now().Add(time.Minute))
	want := slices.DeleteFunc(slices.Clone(rows.Memory), func(m *meter.MemoryEvent) bool {
		return m.Op == meter.MemoryRetrieved && m.At.Before(start.Add(time.Minute))
	})
	if !reflect.DeepEqual(all, want) {
		t.Errorf("%d events, want %d", len(all), len(want))
	}
	if early := events(time.Now().Add(-time.Hour)); len(early) != 0 {
		t.Errorf("%d events before any was there", len(early))
	}
	late := func(until, after time.Time) (time.Time, bool) {
		t.Helper()
		at, found, err := b.EarliestLate(t.Context(), "tenant-0", until, after, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return at, found
	}
	if at, found := late(start.Add(time.Hour), time.Now().Add(-time.Hour)); !found || !at.Equal(rows.Memory[0].At) {
		t.Errorf("the earliest late event is of %s, %v", at, found)
	}
	if at, found := late(start, time.Now().Add(-time.Hour)); found {
		t.Errorf("late before the first: %s", at)
	}
	if at, found := late(start.Add(time.Hour), time.Now().Add(30*time.Second)); found {
		t.Errorf("late after all were taken: %s", at)
	}
	for watermark, want := range map[time.Time]int64{time.Now().Add(time.Minute): int64(len(rows.Memory)), time.Now().Add(-time.Hour): 0} {
		if n, err := b.CountTaken(t.Context(), "tenant-0", watermark); n != want || err != nil {
			t.Errorf("%d events counted, want %d: %v", n, want, err)
		}
	}
}
