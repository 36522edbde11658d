package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
)

// ListRequests calls each for every request of a tenant that began in [from,
// to), in order; of all tenants when tenant is empty. A row is each's to keep.
func (s *Store) ListRequests(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Record) error) error {
	return list(ctx, s, "requests", tenant, from, to, func() *meter.Record { return &meter.Record{} }, each)
}

// ListUnseals does so for unseals.
func (s *Store) ListUnseals(ctx context.Context, tenant string, from, to time.Time, each func(*meter.Unseal) error) error {
	return list(ctx, s, "unseals", tenant, from, to, func() *meter.Unseal { return &meter.Unseal{} }, each)
}

// ListMemoryEvents does so for memory events.
func (s *Store) ListMemoryEvents(ctx context.Context, tenant string, from, to time.Time, each func(*meter.MemoryEvent) error) error {
	return list(ctx, s, "memory_events", tenant, from, to, func() *meter.MemoryEvent { return &meter.MemoryEvent{} }, each)
}

func list[R meter.Row](ctx context.Context, s *Store, table, tenant string, from, to time.Time, make func() R, each func(R) error) error {
	at := bookOf(table).at
	query := "SELECT " + columnsOf(make()).names() + " FROM " + s.client.schema.name(table) + " FINAL WHERE " + inRange(at)
	bound := []any{from.UTC().Format(timeFormat), to.UTC().Format(timeFormat)}
	if tenant != "" {
		query, bound = query+" AND tenant = ?", append(bound, tenant)
	}
	return read(ctx, s, query+" ORDER BY "+at+", toString(event_id)", bound, make, each)
}

// inRange compares a column with two bound times.
func inRange(at string) string {
	return at + " >= toDateTime64(?, 6, 'UTC') AND " + at + " < toDateTime64(?, 6, 'UTC')"
}

// read runs a query whose columns are a row's.
func read[R meter.Row](ctx context.Context, s *Store, query string, bound []any, make func() R, each func(R) error) error {
	found, err := s.client.conn.Query(ctx, query, bound...)
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	defer found.Close() //nolint:errcheck // Err has it
	for found.Next() {
		r := make()
		if err := scan(found, r); err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	return nil
}

// MemoryEvents implements invoice.Events. An event that was taken in twice,
// beyond what tokens cover, counts from the first time. UUIDs are ordered as
// text: ClickHouse's own order of them is another.
func (s *Store) MemoryEvents(ctx context.Context, tenant string, since, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	query, bound := "SELECT "+columnsOf(&meter.MemoryEvent{}).names()+" FROM "+s.client.schema.name("memory_events")+
		` WHERE tenant = ? AND at < toDateTime64(?, 6, 'UTC') AND (op != 'retrieved' OR at >= toDateTime64(?, 6, 'UTC'))
		AND taken_at <= toDateTime64(?, 6, 'UTC')`, []any{tenant, bindTime(until), bindTime(from), bindTime(watermark)}
	if !since.IsZero() {
		query, bound = query+" AND at >= toDateTime64(?, 6, 'UTC')", append(bound, bindTime(since))
	}
	return read(ctx, s, query+" ORDER BY at, toString(event_id), taken_at LIMIT 1 BY event_id", bound,
		func() *meter.MemoryEvent { return &meter.MemoryEvent{} }, each)
}

func bindTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// EarliestLate implements invoice.Events.
func (s *Store) EarliestLate(ctx context.Context, tenant string, until, after, watermark time.Time) (at time.Time, found bool, err error) {
	query := "SELECT min(at), count() FROM " + s.client.schema.name("memory_events") + ` WHERE tenant = ? AND at < toDateTime64(?, 6, 'UTC')
		AND taken_at > toDateTime64(?, 6, 'UTC') AND taken_at <= toDateTime64(?, 6, 'UTC')`
	err = s.query(ctx, query, []any{tenant, bindTime(until), bindTime(after), bindTime(watermark)}, func(rows driver.Rows) error {
		var n uint64
		err := rows.Scan(&at, &n)
		found = n > 0
		return err
	})
	return at.UTC(), found, err
}

// CountTaken implements invoice.Events. ClickHouse counts where the rows are: no
// row leaves it.
func (s *Store) CountTaken(ctx context.Context, tenant string, watermark time.Time) (n int64, err error) {
	query := "SELECT toInt64(uniqExact(event_id)) FROM " + s.client.schema.name("memory_events") + " WHERE tenant = ? AND taken_at <= toDateTime64(?, 6, 'UTC')"
	err = s.query(ctx, query, []any{tenant, bindTime(watermark)}, func(rows driver.Rows) error { return rows.Scan(&n) })
	return n, err
}

// scan reads the present row: into the driver's types first, and then into r.
func scan(found driver.Rows, r meter.Row) error {
	var d destinations
	r.Columns(&d)
	if err := found.Scan(d.to...); err != nil {
		return err
	}
	for _, put := range d.put {
		put()
	}
	return nil
}

// destinations are where the driver scans a row's columns to, and what takes
// them from there.
type destinations struct {
	to  []any
	put []func()
}

// into scans a column as a T and converts it.
func into[T any](d *destinations, convert func(T)) {
	v := new(T)
	d.to = append(d.to, v)
	d.put = append(d.put, func() { convert(*v) })
}

func (d *destinations) UUID(_ string, to *uuid.UUID) { d.to = append(d.to, to) }
func (d *destinations) Time(_ string, to *time.Time) {
	into(d, func(t time.Time) { *to = t.UTC() })
}
func (d *destinations) Name(_ string, to *string) { d.to = append(d.to, to) }
func (d *destinations) ID(_ string, to *string)   { d.to = append(d.to, to) }

func (d *destinations) Enum(_ string, to *uint8, names []string) {
	into(d, func(value string) {
		for i, n := range names {
			if n == value {
				*to = uint8(i)
			}
		}
	})
}

func (d *destinations) Number(_ string, to *int64) {
	into(d, func(n uint64) { *to = int64(n) }) //nolint:gosec // it was an int64
}

func (d *destinations) Count(_ string, to *meter.Count) {
	into(d, func(n *uint64) {
		if *to = (meter.Count{}); n != nil {
			*to = meter.Count{N: int64(*n), Set: true} //nolint:gosec // it was an int64
		}
	})
}

func (d *destinations) Duration(_ string, to *time.Duration) {
	into(d, func(us uint64) { *to = time.Duration(us) * time.Microsecond }) //nolint:gosec // it was an int64
}
func (d *destinations) Flag(_ string, to *bool) { d.to = append(d.to, to) }
