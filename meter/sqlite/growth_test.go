package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/fill"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/reconcile"
	"github.com/ownkey/ownkey/meter/usage"
)

// filled is a store with all rows of a size.
func filled(t testing.TB, size fill.Size) *Store {
	t.Helper()
	s := open(t)
	b := &drain.Batch{Gateway: ledger.Identity{Gateway: uuid.New(), Epoch: 1}}
	n := 0
	take := func() {
		if err := s.Take(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		b.Requests, b.Unseals, b.Memory = nil, nil, nil
	}
	for row := range fill.Rows(size) {
		switch r := row.(type) {
		case *meter.Record:
			b.Requests = append(b.Requests, r)
		case *meter.Unseal:
			b.Unseals = append(b.Unseals, r)
		case *meter.MemoryEvent:
			b.Memory = append(b.Memory, r)
		}
		if n++; n%5000 == 0 {
			take()
		}
	}
	take()
	return s
}

// questions are those of one tenant.
func questions(t testing.TB, from, to time.Time) map[string]func(*Store) {
	tenant := fill.Tenant(0)
	all := map[string]func(*Store){}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for by := range keys {
		all["usage by "+string(by)] = func(s *Store) {
			rows, err := s.Usage(t.Context(), usage.Question{Tenant: tenant, By: by, From: from, To: to, Limit: 100})
			if check(err); len(rows) == 0 {
				t.Fatalf("no usage by %s", by)
			}
		}
	}
	all["usage of all by token, a page"] = func(s *Store) {
		rows, err := s.Usage(t.Context(), usage.Question{By: usage.ByToken, From: from, To: to, Limit: 10})
		if check(err); len(rows) != 10 {
			t.Fatalf("%d rows", len(rows))
		}
	}
	all["evidence"] = func(s *Store) {
		calls, err := s.Calls(t.Context(), tenant, from, to)
		check(err)
		unseals, err := s.UnsealCounts(t.Context(), tenant, from, to)
		if check(err); len(calls) == 0 || len(unseals) == 0 {
			t.Fatal("no evidence")
		}
	}
	all["events of an invoice"] = func(s *Store) {
		n := 0
		now := time.Now().Add(time.Minute)
		check(s.MemoryEvents(t.Context(), tenant, from, from, to, now, func(*meter.MemoryEvent) error { n++; return nil }))
		_, _, err := s.EarliestLate(t.Context(), tenant, from, from, now)
		check(err)
		if taken, err := s.CountTaken(t.Context(), tenant, now); err != nil || int(taken) != n || n == 0 {
			t.Fatalf("%d events, %d counted, %v", n, taken, err)
		}
	}
	return all
}

// TestQuestionsOfATenantDoNotGrowWithOthers asks for one tenant in a store with a
// few and in one with sixteen times as many. What reads rows of others takes
// about sixteen times as long there. The fastest of many rounds, in turns, is
// compared: other work on the machine only slows a round down.
func TestQuestionsOfATenantDoNotGrowWithOthers(t *testing.T) {
	const few, times, most = 5, 16, 4
	size := fill.Size{Tenants: few, Tokens: 10, Hours: 6, Events: 4, From: noon.Add(-24 * time.Hour)}
	small := filled(t, size)
	size.Tenants *= times
	large := filled(t, size)
	for name, ask := range questions(t, size.From, size.From.Add(6*time.Hour)) {
		t.Run(name, func(t *testing.T) {
			var fastest [2]time.Duration
			for round := range 30 {
				for i, s := range []*Store{small, large} {
					begin := time.Now()
					ask(s)
					if took := time.Since(begin); round == 0 || took < fastest[i] {
						fastest[i] = took
					}
				}
			}
			if ratio := float64(fastest[1]) / float64(fastest[0]); ratio > most {
				t.Errorf("%d tenants %s, %d tenants %s: %.1f times as long", few, fastest[0], few*times, fastest[1], ratio)
			}
		})
	}
}

// BenchmarkQuestionsOfATenant prints what each question takes in stores that
// double: go test ./meter/sqlite -run '^$' -bench QuestionsOfATenant.
func BenchmarkQuestionsOfATenant(b *testing.B) {
	for _, tenants := range []int{50, 100, 200} {
		size := fill.Size{Tenants: tenants, Tokens: 10, Hours: 24, Events: 10, From: noon.Add(-24 * time.Hour)}
		s := filled(b, size)
		for name, ask := range questions(b, size.From, size.From.Add(24*time.Hour)) {
			b.Run(fmt.Sprintf("%d tenants/%s", tenants, name), func(b *testing.B) {
				for range b.N {
					ask(s)
				}
			})
		}
	}
}

// TestDailyComesInPages: whatever a page has room for, all pages together are
// the same rows, and no more than twice a page is held for a day.
func TestDailyComesInPages(t *testing.T) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s := filled(t, fill.Size{Tenants: 6, Tokens: 10, Hours: 50, From: from})
	all := func(limit int) (rows []reconcile.Daily) {
		q := reconcile.Question{Provider: "openai", From: from.Add(30 * time.Minute), To: from.Add(50 * time.Hour), Limit: limit}
		for {
			page, err := s.Daily(t.Context(), q)
			if err != nil || len(page) > limit {
				t.Fatalf("%v, a page of %d with the limit %d", err, len(page), limit)
			}
			if len(page) == 0 {
				return rows
			}
			rows = append(rows, page...)
			last := placeOf(&page[len(page)-1])
			q.After = &last
		}
	}
	whole := all(100_000)
	if len(whole) != 3*6*5 {
		t.Fatalf("%d rows", len(whole))
	}
	for _, limit := range []int{7, 29, 30, 31, 90} {
		if got := all(limit); !slices.Equal(got, whole) {
			t.Errorf("pages of %d: %d rows, or others", limit, len(got))
		}
	}
	day := dayOf{question: &reconcile.Question{}, at: from, found: map[reconcile.Place]*reconcile.Daily{}}
	for i := range 10_000 {
		day.add(&meter.Record{Attempt: 1, ModelServed: fmt.Sprint("model-", i*7919%10_000)}, 10)
		if len(day.found) > 20 {
			t.Fatalf("%d rows are held for a page of 10", len(day.found))
		}
	}
	if rows := day.rows(10); rows[0].Model != "model-0" || rows[1].Model != "model-1" || rows[2].Model != "model-10" {
		t.Errorf("%+v", rows)
	}
}
