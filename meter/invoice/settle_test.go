package invoice

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// months fills a desk with n months of the same number of events each, from
// January 2026 on, and closes all but the last.
func (d *desk) months(n, events int) (open Month) {
	d.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	open = month("2026-01")
	for i := range n {
		if i > 0 {
			open = open.Next()
		}
		for range events {
			when := open.Start().Add(time.Duration(random.Int64N(open.Milliseconds()/2)) * time.Millisecond)
			d.add(when, meter.MemoryEvent{At: when, BucketID: "b", Op: meter.MemoryOp(random.IntN(3)), Count: random.Int64N(9)})
		}
	}
	d.now = open.End().Add(-time.Hour)
	return open
}

// reads counts the events that are read for an invoice.
func (d *desk) reads(m Month) int {
	d.Helper()
	before := d.read
	d.invoice(m.String())
	return d.read - before
}

// TestDraftReadsTheOpenMonthOnly: an invoice costs what its month has, however
// many months were closed before; to close all of them costs what they have.
func TestDraftReadsTheOpenMonthOnly(t *testing.T) {
	const each = 50
	for _, n := range []int{2, 12, 24, 48} {
		d := newDesk(t)
		open := d.months(n, each)
		if first := d.reads(open); first > n*each {
			t.Errorf("%d months: the first call read %d events of %d", n, first, n*each)
		}
		if draft := d.reads(open); draft > each {
			t.Errorf("%d months: a draft read %d events, the month has %d", n, draft, each)
		}
	}
}

// TestLateEventsReadFromTheirMonthOn: what came late costs the months from its
// own on.
func TestLateEventsReadFromTheirMonthOn(t *testing.T) {
	const each, n = 50, 24
	d := newDesk(t)
	open := d.months(n, each)
	d.invoice(open.String())
	d.add(d.now, meter.MemoryEvent{At: Month{open.index - 3}.Start(), BucketID: "b", Op: meter.MemoryRetrieved, Count: 1000})
	if got := d.reads(open); got > 4*each+1 {
		t.Errorf("read %d events", got)
	}
	if got := d.invoice(open.String()).Adjustments; len(got) != 1 || got[0].Retrievals != 1000 {
		t.Errorf("%+v", got)
	}
}

// TestClosingGoesOnWhereItEnded: a call that ends early leaves its closed months
// behind, and the next one goes on from there.
func TestClosingGoesOnWhereItEnded(t *testing.T) {
	const each, n = 50, 24
	d := newDesk(t)
	open := d.months(n, each)
	ctx, cancel := context.WithCancel(t.Context())
	o := d.book.Options
	plans := 0
	o.Plan = func(string) Plan {
		if plans++; plans == n/2 {
			cancel()
		}
		return d.plan
	}
	cut := &Book{o, d.book.store}
	if _, err := cut.Invoice(ctx, "acme", open); err == nil {
		t.Fatal("it was not cut")
	}
	before := d.read
	d.invoice(open.String())
	if got := d.read - before; got > (n/2+2)*each {
		t.Errorf("the second call read %d events of %d", got, n*each)
	}
}

// TestStatesThatAreMissing: invoices that were closed before states were kept, or
// whose states cannot be read, are read once more; the next ones are the same.
func TestStatesThatAreMissing(t *testing.T) {
	const each, n = 50, 12
	d := newDesk(t)
	open := d.months(n, each)
	want := d.all(open.String())
	for _, change := range []string{
		"DELETE FROM invoice_states",
		"DELETE FROM invoice_states WHERE month > '2026-06'",
		`UPDATE invoice_states SET state = CAST('{"hash":"AAAA"}' AS BLOB)`,
		"UPDATE invoice_states SET state = X'78'",
	} {
		if _, err := d.book.DB.Write.Exec(change); err != nil {
			t.Fatal(err)
		}
		if got := d.all(open.String()); got != want {
			t.Errorf("%s: another invoice:\n%s\n%s", change, got, want)
		}
		if got := d.reads(open); got > each {
			t.Errorf("%s: a draft reads %d events afterwards", change, got)
		}
	}
	if _, err := d.book.DB.Write.Exec("DELETE FROM invoice_states"); err != nil {
		t.Fatal(err)
	}
	d.rows = d.rows[1:]
	if _, err := d.book.Invoice(t.Context(), "acme", open); !errors.Is(err, ErrIncomplete) {
		t.Errorf("an event is missing: %v", err)
	}
}

// TestStatesChangeNothing compares random histories with late events, made month
// by month, with the same without any state: every document is the same.
func TestStatesChangeNothing(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 9))
		d, bare := newDesk(t), newDesk(t)
		history(random, d.ledger, 1+random.IntN(150))
		bare.rows = d.rows
		for m := month("2026-01"); m.Before(month("2026-09")); m = m.Next() {
			d.now = m.End().Add(Grace + time.Duration(random.Int64N(int64(9*24*time.Hour))))
			bare.now = d.now
			if _, err := bare.book.DB.Write.Exec("DELETE FROM invoice_states"); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(d.invoice(m.String()))
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(bare.invoice(m.String()))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Fatalf("seed %d, %s:\n%s\n%s", seed, m, got, want)
			}
		}
	}
}
