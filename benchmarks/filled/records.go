package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fill"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/meter/usage"
)

// begin is when all that is filled begins.
var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// recent is late enough for the rows of requests, which are kept 400 days.
var recent = time.Now().AddDate(0, -3, 0)

// month is as long as the sums of tenants go, of ten hours a day.
const month = 30

// usageOf measures questions about sums: of one tenant, and of all.
func usageOf(b *bed, tenants int) error {
	return b.on("usage.db", func(database *db.DB) error {
		s, err := sqlite.Open(b.ctx, database)
		if err != nil {
			return err
		}
		if err := fill.Sums(b.ctx, database, tenants, month, begin); err != nil {
			return err
		}
		for _, tenant := range []string{fill.Tenant(tenants / 3), ""} {
			for _, by := range []usage.By{usage.ByDay, usage.ByModel, usage.ByToken} {
				whose := "of a tenant"
				if tenant == "" {
					whose = "of all tenants, a page of 1,000,"
				}
				q := usage.Question{Tenant: tenant, By: by, From: begin, To: begin.AddDate(0, 0, month), Limit: 1000}
				if err := b.measure(fmt.Sprintf("usage %s by %s", whose, by), 2, func() error {
					rows, err := s.Usage(b.ctx, q)
					if err == nil && len(rows) == 0 {
						err = errors.New("no usage")
					}
					return err
				}); err != nil {
					return err
				}
			}
		}
		return b.onDisk()
	})
}

// sink takes rows into a store as the drain does.
type sink struct {
	bed   *bed
	store *sqlite.Store
	batch drain.Batch
}

func (b *bed) sink(s *sqlite.Store) *sink {
	return &sink{bed: b, store: s, batch: drain.Batch{Gateway: ledger.Identity{Gateway: uuid.New(), Epoch: 1}}}
}

// add takes a row in, with others.
func (s *sink) add(row meter.Row) error {
	switch r := row.(type) {
	case *meter.Record:
		s.batch.Requests = append(s.batch.Requests, r)
	case *meter.MemoryEvent:
		s.batch.Memory = append(s.batch.Memory, r)
	}
	if len(s.batch.Requests)+len(s.batch.Memory) < 5000 {
		return nil
	}
	return s.flush()
}

// flush takes in what is left.
func (s *sink) flush() error {
	err := s.store.Take(s.bed.ctx, &s.batch)
	s.batch.Requests, s.batch.Memory = nil, nil
	return err
}

// evidenceOf measures evidence about a tenant whose provider, its own, names
// another organization in each answer.
func evidenceOf(b *bed, calls int) error {
	return b.on("usage.db", func(database *db.DB) error {
		s, err := sqlite.Open(b.ctx, database)
		if err != nil {
			return err
		}
		rows := b.sink(s)
		for i := range calls {
			if err := rows.add(&meter.Record{
				EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: recent.Add(time.Duration(i) * time.Second), TenantID: "acme", TokenID: "t",
				CredentialID: "c", Fingerprint: "f", KeyVersion: 1, Provider: "openai", ProviderOrganization: fmt.Sprint("org-", i), Endpoint: "chat_completions",
				ModelAsked: "m", ModelServed: "m", Attempt: 1, Outcome: meter.OutcomeCompleted, Status: 200,
			}); err != nil {
				return err
			}
		}
		if err := rows.flush(); err != nil {
			return err
		}
		q := evidence.Question{Tenant: "acme", From: recent, To: time.Now(), Now: time.Now()}
		before := heap()
		var report *evidence.Report
		if err := b.measure("evidence", 2, func() (err error) {
			report, err = evidence.Answer(b.ctx, s, q)
			return err
		}); err != nil {
			return err
		}
		b.held("held by a report", before)
		if report.Calls != int64(calls) {
			return fmt.Errorf("%d calls in the report", report.Calls)
		}
		return nil
	})
}
