package sqlite

import (
	"math"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/usage"
)

// TestSumsStayInTheRangeOfTheirColumns: numbers that no row should have are taken
// again and again, and their sums can be read, in an hour and over several, and
// those of all tenants with them.
func TestSumsStayInTheRangeOfTheirColumns(t *testing.T) {
	s := open(t)
	for range 3 {
		b := batch(120) // two hours
		for _, r := range b.Requests {
			if r.TenantID == "tenant-1" {
				r.InputTokens, r.RequestBytes = meter.Count{N: math.MaxInt64, Set: true}, math.MaxInt64
			}
		}
		if err := s.Take(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for tenant, want := range map[string]int64{"tenant-0": 0, "tenant-1": math.MaxInt64, "": math.MaxInt64} {
		for _, by := range []usage.By{usage.ByHour, usage.ByDay, usage.ByProvider} {
			rows, err := s.Usage(t.Context(), usage.Question{Tenant: tenant, By: by, From: noon, To: noon.Add(2 * time.Hour)})
			if err != nil || len(rows) == 0 {
				t.Fatalf("%q by %s: %v, %d rows", tenant, by, err, len(rows))
			}
			for i := range rows {
				if got := rows[i].InputTokens; want > 0 && got != want || want == 0 && (got <= 0 || got > 1e6) {
					t.Errorf("%q by %s: %d input tokens, want %d", tenant, by, got, want)
				}
			}
		}
	}
}
