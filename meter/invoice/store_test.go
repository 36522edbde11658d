package invoice

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ownkey/ownkey/meter"
)

// TestStoredBytesAreAnswered: forms that a program of another day has stored are
// answered as they are, not written anew.
func TestStoredBytesAreAnswered(t *testing.T) {
	d := newDesk(t)
	d.now = at("2026-02-05T00:00:00Z")
	d.invoice("2026-01")
	if _, err := d.book.DB.Write.ExecContext(t.Context(),
		"INSERT INTO invoices SELECT 'old', month, closed_at, CAST(json || ' ' AS BLOB), x'ff01', x'ff02', x'ff03' FROM invoices"); err != nil {
		t.Fatal(err)
	}
	doc, err := d.book.Invoice(t.Context(), "old", month("2026-01"))
	if err != nil {
		t.Fatal(err)
	}
	for f, want := range map[Format]string{JSON: d.written("2026-01", JSON) + " ", Text: "\xff\x01", CSV: "\xff\x02", HTML: "\xff\x03"} {
		var got bytes.Buffer
		if err := doc.Write(&got, f); err != nil || got.String() != want {
			t.Errorf("%s: %q, %v", f, got.String(), err)
		}
	}
}

// TestStoreTakesWhatFollowsFromAllOthers: a document that was computed before
// another month was closed may adjust what that one has adjusted already.
func TestStoreTakesWhatFollowsFromAllOthers(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1)
	d.now = at("2026-02-05T00:00:00Z")
	january := d.invoice("2026-01")
	f := func(m string, n, want int) {
		t.Helper()
		next := *january
		next.Month, next.Events = month(m), int64(100+n)
		if err := next.close(d.now); err != nil {
			t.Fatal(err)
		}
		if err := d.book.store.add(t.Context(), &next, nil, known{n: n}); err != nil {
			t.Fatal(err)
		}
		all, err := d.book.store.all(t.Context(), "acme")
		if err != nil || len(all) != want {
			t.Errorf("%s, knowing %d: %d are stored, %v", m, n, len(all), err)
		}
	}
	f("2026-02", 0, 1) // it did not know of January
	f("2026-02", 1, 2)
	f("2026-03", 1, 2) // it did not know of February
	f("2026-02", 2, 2) // it is closed: the first one stays
	f("2026-03", 2, 3)
	if all, err := d.book.store.all(t.Context(), "acme"); err != nil || all[1].Events != 101 {
		t.Errorf("February is another one: %+v, %v", all[1], err)
	}
}

func TestStoresThatCanNotBeReached(t *testing.T) {
	d := newDesk(t)
	if err := d.book.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.book.Invoice(t.Context(), "acme", month("2026-01")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
