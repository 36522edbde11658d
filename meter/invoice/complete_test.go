package invoice

import (
	"errors"
	"slices"
	"testing"

	"github.com/ownkey/ownkey/meter"
)

// TestLostEventsAreNoCredit: whatever part of the store is lost after a month
// was closed, the next invoice is an error. What came late still is a credit.
func TestLostEventsAreNoCredit(t *testing.T) {
	for name, lose := range map[string]func(taken) bool{
		"all events":                        func(taken) bool { return true },
		"retrievals of the closed month":    func(e taken) bool { return e.Op == meter.MemoryRetrieved },
		"retrievals of an older month":      func(e taken) bool { return e.Op == meter.MemoryRetrieved && e.At.Before(at("2026-02-01T00:00:00Z")) },
		"one memory that was stored":        func(e taken) bool { return e.BucketID == "other" },
		"a deletion, which would be a bill": func(e taken) bool { return e.Op == meter.MemoryDeleted },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.event("2026-01-11T00:00:00Z", "b", meter.MemoryStored, 1000)
			d.event("2026-01-12T00:00:00Z", "other", meter.MemoryStored, 1)
			d.event("2026-01-20T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
			d.event("2026-02-20T00:00:00Z", "b", meter.MemoryDeleted, 10)
			d.event("2026-02-20T00:00:00Z", "b", meter.MemoryRetrieved, 1000)
			d.now = at("2026-03-10T00:00:00Z")
			d.invoice("2026-02")
			if got := d.invoice("2026-03"); len(got.Adjustments) != 0 {
				t.Fatalf("%+v", got.Adjustments)
			}
			d.rows = slices.DeleteFunc(d.rows, lose)
			for _, now := range []string{"2026-03-20T00:00:00Z", "2026-05-01T00:00:00Z"} { // a draft, and one that closes
				d.now = at(now)
				if got, err := d.book.Invoice(t.Context(), "acme", month("2026-03")); !errors.Is(err, ErrIncomplete) {
					t.Errorf("at %s: %+v, %v", now, got, err)
				}
			}
			d.invoice("2026-02") // what is closed is still answered
		})
	}
}
