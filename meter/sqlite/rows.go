package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// ListRequests calls each for every request of a tenant that began in [from, to),
// in order; of all tenants when tenant is empty. A row is each's to keep.
func (s *Store) ListRequests(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Record) error) error {
	return rows(ctx, s, "requests", "started_at", tenant, from, to, func() *meter.Record { return &meter.Record{} }, each)
}

// ListUnseals does so for unseals.
func (s *Store) ListUnseals(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Unseal) error) error {
	return rows(ctx, s, "unseals", "at", tenant, from, to, func() *meter.Unseal { return &meter.Unseal{} }, each)
}

// ListMemoryEvents does so for memory events.
func (s *Store) ListMemoryEvents(ctx context.Context, tenant string, from, to time.Time, each func(*meter.MemoryEvent) error) error {
	return rows(ctx, s, "memory_events", "at", tenant, from, to, func() *meter.MemoryEvent { return &meter.MemoryEvent{} }, each)
}

func rows[R meter.Row](ctx context.Context, s *Store, table, at, tenant string, from, to time.Time, make func() R, each func(R) error) error {
	query := "SELECT " + strings.Join(columnsOf(make()), ", ") + " FROM " + table + " WHERE " + at + " >= ? AND " + at + " < ?"
	bound := []any{from.UnixMicro(), to.UnixMicro()}
	if tenant != "" {
		query, bound = query+" AND tenant = ?", append(bound, tenant)
	}
	found, err := s.db.Read.QueryContext(ctx, query+" ORDER BY "+at+", event_id", bound...)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", table, err)
	}
	defer found.Close() //nolint:errcheck // Err has it
	for found.Next() {
		r := make()
		if err := scanRow(found, r); err != nil {
			return fmt.Errorf("cannot read %s: %w", table, err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("cannot read %s: %w", table, err)
	}
	return nil
}
