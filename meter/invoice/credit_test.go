package invoice

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// january is a desk with one closed month and a deletion that came late for it,
// which is a credit.
func january(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.event("2026-01-11T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.event("2026-01-20T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	d.now = at("2026-02-10T00:00:00Z")
	d.invoice("2026-01")
	d.late("2026-02-11T00:00:00Z", "2026-01-15T00:00:00Z", "b", meter.MemoryDeleted, 500)
	d.now = at("2026-02-20T00:00:00Z")
	return d
}

// TestCreditNeedsTheRowsOfItsInvoice: as many events as before are not enough
// for a credit. They must be the ones that were invoiced.
func TestCreditNeedsTheRowsOfItsInvoice(t *testing.T) {
	for name, f := range map[string]struct {
		change func(*taken)
		want   error
	}{
		"the same rows":          {func(*taken) {}, nil},
		"a lower count":          {func(e *taken) { e.Count = 1 }, ErrIncomplete},
		"another bucket":         {func(e *taken) { e.BucketID = "c" }, ErrIncomplete},
		"a later time":           {func(e *taken) { e.At = e.At.Add(time.Millisecond) }, ErrIncomplete},
		"a time after the month": {func(e *taken) { e.At = at("2026-02-01T00:00:00Z") }, ErrIncomplete},
	} {
		d := january(t)
		f.change(&d.rows[1])
		got, err := d.book.Invoice(t.Context(), "acme", month("2026-02"))
		if !errors.Is(err, f.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (len(got.Adjustments) != 1 || got.Adjustments[0].Amount >= 0) {
			t.Errorf("%s: %+v", name, got.Adjustments)
		}
	}
}

// failing is a store of events that can be read a number of times, and not again.
type failing struct {
	*ledger
	after int
}

var errAway = errors.New("the store is away")

func (f *failing) MemoryEvents(ctx context.Context, tenant string, since, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	if f.after--; f.after < 0 {
		return errAway
	}
	return f.ledger.MemoryEvents(ctx, tenant, since, from, until, watermark, each)
}

// TestCreditNeedsItsStore: rows that cannot be read are no rows that are missing.
func TestCreditNeedsItsStore(t *testing.T) {
	for after := range 3 {
		d := january(t)
		o := d.book.Options
		o.Events = &failing{d.ledger, after}
		_, err := (&Book{o, d.book.store}).Invoice(t.Context(), "acme", month("2026-02"))
		if want := after < 2; want != errors.Is(err, ErrUnavailable) || want != errors.Is(err, errAway) || errors.Is(err, ErrIncomplete) {
			t.Errorf("after %d reads: %v", after, err)
		}
	}
}

// TestEarlierMonthsNeedTheRowsOfTheLatest: months before closed ones are computed
// from the beginning of all, so nothing may be missing there.
func TestEarlierMonthsNeedTheRowsOfTheLatest(t *testing.T) {
	d := newDesk(t)
	d.life["acme"] = [2]time.Time{at("2026-03-01T00:00:00Z"), {}}
	d.event("2026-01-01T00:00:00Z", "b", meter.MemoryStored, 1000)
	d.event("2026-03-02T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	d.now = at("2026-04-05T00:00:00Z")
	d.invoice("2026-03")
	d.life["acme"] = [2]time.Time{at("2026-01-01T00:00:00Z"), {}}
	d.rows[1].Count = 1
	if got, err := d.book.Invoice(t.Context(), "acme", month("2026-02")); !errors.Is(err, ErrIncomplete) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWhatCostsNothingIsNoCredit: its rows are not read again.
func TestWhatCostsNothingIsNoCredit(t *testing.T) {
	d := newDesk(t)
	d.plan = Plan{Name: "free"}
	d.event("2026-01-20T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
	d.now = at("2026-02-10T00:00:00Z")
	d.invoice("2026-01")
	d.late("2026-02-11T00:00:00Z", "2026-01-15T00:00:00Z", "b", meter.MemoryRetrieved, 10)
	d.rows[0].Count = 1
	d.now = at("2026-02-20T00:00:00Z")
	if got := d.invoice("2026-02").Adjustments; len(got) != 1 || got[0].Amount != 0 || got[0].Retrievals != 11-1000 {
		t.Errorf("%+v", got)
	}
}
