package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// query runs a query and calls scan for each of its rows.
func (s *Store) query(ctx context.Context, text string, bound []any, scan func(*sql.Rows) error) error {
	rows, err := s.db.Read.QueryContext(ctx, text, bound...)
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	return nil
}

// ListRequests calls each for every request of a tenant that began in [from,
// to), in order; of all tenants when tenant is empty. A row is each's to keep.
func (s *Store) ListRequests(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Record) error) error {
	return list(ctx, s, "requests", tenant, from, to, func() *meter.Record { return &meter.Record{} }, each)
}

// ListUnseals does so for unseals.
func (s *Store) ListUnseals(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Unseal) error) error {
	return list(ctx, s, "unseals", tenant, from, to, func() *meter.Unseal { return &meter.Unseal{} }, each)
}

func list[R meter.Row](ctx context.Context, s *Store, table, tenant string, from, to time.Time, make func() R, each func(R) error) error {
	var row sql.RawBytes
	where, bound := inRange(tenant, from, to)
	return s.query(ctx, "SELECT row FROM "+table+where, bound, func(rows *sql.Rows) error {
		if err := rows.Scan(&row); err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
		r := make()
		if err := meter.Decode(row, r); err != nil {
			return err
		}
		return each(r)
	})
}

// inRange is the condition on a tenant and a time, and the order of rows; all
// tenants when tenant is empty. Each of the two forms has an index.
func inRange(tenant string, from, to time.Time) (where string, bound []any) {
	where, bound = " WHERE at >= ? AND at < ? ORDER BY at, event_id", []any{from.UnixMicro(), to.UnixMicro()}
	if tenant != "" {
		where, bound = " WHERE tenant = ? AND at >= ? AND at < ? ORDER BY at, event_id", []any{tenant, from.UnixMicro(), to.UnixMicro()}
	}
	return where, bound
}

// memoryColumns are those of a memory event.
var memoryColumns = columnsOf(&meter.MemoryEvent{})

// ListMemoryEvents does so for memory events.
func (s *Store) ListMemoryEvents(ctx context.Context, tenant string, from, to time.Time, each func(*meter.MemoryEvent) error) error {
	where, bound := inRange(tenant, from, to)
	return s.memoryEvents(ctx, where, bound, each)
}

// MemoryEvents implements invoice.Events.
func (s *Store) MemoryEvents(ctx context.Context, tenant string, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	return s.memoryEvents(ctx, " WHERE tenant = ? AND at < ? AND taken_at <= ? AND (op != 'retrieved' OR at >= ?) ORDER BY at, event_id",
		[]any{tenant, until.UnixMicro(), watermark.UnixMicro(), from.UnixMicro()}, each)
}

func (s *Store) memoryEvents(ctx context.Context, where string, bound []any, each func(*meter.MemoryEvent) error) error {
	return s.query(ctx, "SELECT "+strings.Join(memoryColumns, ", ")+" FROM memory_events"+where, bound, func(rows *sql.Rows) error {
		m := &meter.MemoryEvent{}
		if err := scanRow(rows, m); err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
		return each(m)
	})
}
