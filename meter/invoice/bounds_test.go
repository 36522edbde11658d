package invoice

import (
	"errors"
	"math"
	"testing"

	"github.com/ownkey/ownkey/meter"
)

// TestSumsUpToTheEndsOfTheirRange: the largest and the smallest sum fit, one more
// does not.
func TestSumsUpToTheEndsOfTheirRange(t *testing.T) {
	for _, f := range []struct {
		a, b, sum int64
		ok        bool
	}{
		{0, 0, 0, true},
		{2, 3, 5, true},
		{-2, 3, 1, true},
		{2, -3, -1, true},
		{math.MaxInt64, 0, math.MaxInt64, true},
		{math.MinInt64, 0, math.MinInt64, true},
		{math.MaxInt64 - 5, 5, math.MaxInt64, true},
		{math.MaxInt64 - 5, 6, 0, false},
		{math.MaxInt64, 1, 0, false},
		{1, math.MaxInt64, 0, false},
		{math.MinInt64 + 5, -5, math.MinInt64, true},
		{math.MinInt64 + 5, -6, 0, false},
		{math.MinInt64, -1, 0, false},
		{-1, math.MinInt64, 0, false},
		{math.MaxInt64, math.MinInt64, -1, true},
		{math.MinInt64, math.MaxInt64, -1, true},
	} {
		sum, err := addCount(f.a, f.b)
		if (err == nil) != f.ok || f.ok && sum != f.sum || !f.ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d + %d: %d, %v", f.a, f.b, sum, err)
		}
	}
}

// TestBucketThatUsedNothingHasNoLine: neither one that was emptied in an earlier
// month, nor one whose retrievals found nothing.
func TestBucketThatUsedNothingHasNoLine(t *testing.T) {
	d := newDesk(t)
	d.event("2026-01-11T00:00:00Z", "emptied", meter.MemoryStored, 1)
	d.event("2026-01-20T00:00:00Z", "emptied", meter.MemoryDeleted, 1)
	d.event("2026-02-01T00:00:00Z", "held", meter.MemoryStored, 1)
	d.event("2026-02-02T00:00:00Z", "asked", meter.MemoryRetrieved, 1)
	d.event("2026-02-02T00:00:00Z", "idle", meter.MemoryRetrieved, 0)
	d.now = at("2026-02-20T00:00:00Z")
	for m, want := range map[string]int{"2026-01": 1, "2026-02": 2} {
		if got := d.invoice(m).Lines; len(got) != want {
			t.Errorf("%s: %+v", m, got)
		}
	}
}
