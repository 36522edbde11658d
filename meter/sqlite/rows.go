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
	return s.query(ctx, "SELECT row FROM "+ofTable(table, tenant)+where, bound, func(rows *sql.Rows) error {
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

// ofTable is requests or unseals, read by the index of a tenant's rows: with
// statistics of few tenants SQLite would read all of a time.
func ofTable(table, tenant string) string {
	if tenant == "" {
		return table
	}
	return table + " INDEXED BY " + table + "_by_tenant"
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
func (s *Store) MemoryEvents(ctx context.Context, tenant string, since, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	return s.memoryEvents(ctx, " WHERE tenant = ? AND at >= ? AND at < ? AND taken_at <= ? AND (op != 'retrieved' OR at >= ?) ORDER BY at, event_id",
		[]any{tenant, since.UnixMicro(), until.UnixMicro(), watermark.UnixMicro(), from.UnixMicro()}, each)
}

// earliestLate goes by when events were taken: by their times it would read all
// that came in time.
const earliestLate = "SELECT MIN(at) FROM memory_events INDEXED BY memory_events_by_taken WHERE tenant = ? AND taken_at > ? AND taken_at <= ? AND at < ?"

// EarliestLate implements invoice.Events.
func (s *Store) EarliestLate(ctx context.Context, tenant string, until, after, watermark time.Time) (time.Time, bool, error) {
	var at sql.NullInt64
	err := s.db.Read.QueryRowContext(ctx, earliestLate, tenant, after.UnixMicro(), watermark.UnixMicro(), until.UnixMicro()).Scan(&at)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("cannot read records: %w", err)
	}
	return time.UnixMicro(at.Int64).UTC(), at.Valid, nil
}

// countTaken is what is there less what came later: both without reading what
// was there.
const countTaken = `SELECT IFNULL((SELECT events FROM memory_counts WHERE tenant = ?1), 0)
	- (SELECT COUNT(*) FROM memory_events INDEXED BY memory_events_by_taken WHERE tenant = ?1 AND taken_at > ?2)`

// CountTaken implements invoice.Events.
func (s *Store) CountTaken(ctx context.Context, tenant string, watermark time.Time) (n int64, err error) {
	if err = s.db.Read.QueryRowContext(ctx, countTaken, tenant, watermark.UnixMicro()).Scan(&n); err != nil {
		return 0, fmt.Errorf("cannot read records: %w", err)
	}
	return n, nil
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
