package sqlite

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
)

// TestLateAndMissingEvents: what came late and what is missing is found by
// indexes and counters, not by reading the events that are there.
func TestLateAndMissingEvents(t *testing.T) {
	s := open(t)
	gateway := ledger.Identity{Gateway: uuid.New(), Epoch: 1}
	take := func(at time.Time, tenant string) {
		t.Helper()
		m := &meter.MemoryEvent{EventID: meter.NewEventID(), RequestID: uuid.New(), At: at, TenantID: tenant, BucketID: "b", Op: meter.MemoryStored, Count: 1}
		// Twice: an event that comes again is one.
		if err := s.Take(t.Context(), &drain.Batch{Gateway: gateway, Memory: []*meter.MemoryEvent{m, m}}); err != nil {
			t.Fatal(err)
		}
	}
	take(noon, "acme")
	take(noon.Add(time.Hour), "acme")
	take(noon, "zoo")
	watermark := time.Now()
	if _, found, err := s.EarliestLate(t.Context(), "acme", noon.Add(2*time.Hour), watermark, watermark.Add(time.Hour)); found || err != nil {
		t.Errorf("late before anything was: %v", err)
	}
	take(noon.Add(3*time.Hour), "acme") // late, and not before until
	take(noon.Add(time.Minute), "acme")
	take(noon.Add(2*time.Minute), "acme")
	take(noon.Add(time.Second), "zoo")
	at, found, err := s.EarliestLate(t.Context(), "acme", noon.Add(2*time.Hour), watermark, watermark.Add(time.Hour))
	if !found || err != nil || !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("%s, %v, %v", at, found, err)
	}
	count := func(tenant string, want int64) {
		t.Helper()
		if n, err := s.CountTaken(t.Context(), tenant, watermark); n != want || err != nil {
			t.Errorf("%s: %d of %d, %v", tenant, n, want, err)
		}
	}
	count("acme", 2)
	count("zoo", 1)
	count("nobody", 0)
	if _, err := s.db.Write.Exec("DELETE FROM memory_events WHERE tenant = 'acme' AND at = ?", noon.UnixMicro()); err != nil {
		t.Fatal(err)
	}
	count("acme", 1)
}

// TestInvoiceQuestionsHaveAPlan: neither reads a row of the table.
func TestInvoiceQuestionsHaveAPlan(t *testing.T) {
	s := open(t)
	for query, bound := range map[string][]any{
		earliestLate: {"a", 1, 2, 3},
		countTaken:   {"a", 1},
	} {
		got := plan(t, s, query, bound)
		if strings.Contains(got, "SCAN memory_events") || !strings.Contains(got, "SEARCH memory_events USING COVERING INDEX memory_events_by_taken (tenant=? AND taken_at>?") {
			t.Errorf("%s:\n%s", query, got)
		}
	}
}
