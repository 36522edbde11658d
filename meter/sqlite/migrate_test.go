package sqlite

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
)

// upTo are the first migrations: the schema of an earlier version.
func upTo(t *testing.T, last string) fs.FS {
	t.Helper()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, name := range names {
		base := filepath.Base(name)
		if strings.Compare(base[:len(last)], last) > 0 {
			continue
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[base] = &fstest.MapFile{Data: text}
	}
	return files
}

// TestRowsOutliveANewOrder: rows kept by the id of their event are all there,
// once, after the migration that keeps them by their time.
func TestRowsOutliveANewOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	d, err := db.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Migrate(t.Context(), upTo(t, "00003"), "meter_migrations"); err != nil {
		t.Fatal(err)
	}
	before := &Store{db: d}
	b := batch(50)
	if err := before.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	list := func(s *Store) (requests []*meter.Record, unseals []*meter.Unseal) {
		t.Helper()
		from, to := time.Unix(0, 0), time.Now().Add(time.Hour)
		err := s.ListRequests(t.Context(), "", from, to, func(r *meter.Record) error { requests = append(requests, r); return nil })
		if err == nil {
			err = s.ListUnseals(t.Context(), "", from, to, func(u *meter.Unseal) error { unseals = append(unseals, u); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		return requests, unseals
	}
	requests, unseals := list(before)
	after, err := Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.Take(t.Context(), b); err != nil { // a second time
		t.Fatal(err)
	}
	gotRequests, gotUnseals := list(after)
	if len(requests) != 50 || len(unseals) == 0 || len(gotRequests) != len(requests) || len(gotUnseals) != len(unseals) {
		t.Fatalf("%d requests and %d unseals before, %d and %d after", len(requests), len(unseals), len(gotRequests), len(gotUnseals))
	}
	for i, r := range requests {
		if *gotRequests[i] != *r {
			t.Errorf("request %d: %+v, want %+v", i, gotRequests[i], r)
		}
	}
	for i, u := range unseals {
		if *gotUnseals[i] != *u {
			t.Errorf("unseal %d: %+v, want %+v", i, gotUnseals[i], u)
		}
	}
}
