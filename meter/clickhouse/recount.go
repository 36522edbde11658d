package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// A single server writes down the token of an insertion before the part that it
// made. If its process is killed between the two, the insertion that is sent
// again is dropped as known, and its rows, or the sums that a view made of them,
// are nowhere (26.7: MergeTree's deduplication log; Replicated tables note both
// at once). So a segment that did not go through at the first try is looked at:
// rows that are missing are inserted under another token, and sums that no
// longer agree with the rows are made again from them.

// mostAgain bounds how often rows of a segment are inserted under another token.
const mostAgain = 3

// differing is how many pairs of tenant and period are made again at once.
const differing = 500

// surelyKeptDays is the age up to which rows are looked for, and sums held
// against them: behind it, those of the same day may have gone.
const surelyKeptDays = keepDays - 2

// kept is what ClickHouse must have of a part: the rows that it did not refuse
// and that are not too old. One row's clock can be years off.
func (p part) kept(body []byte, rejected []int) (kept part, err error) {
	b := bookOf(p.Book)
	rows, err := b.decode(body)
	oldest := time.Now().AddDate(0, 0, -surelyKeptDays)
	kept.Book = p.Book
	for i, r := range rows {
		_, refused := slices.BinarySearch(rejected, i)
		if at := b.when(r); !refused && !at.Before(oldest) {
			kept.counts(at)
		}
	}
	return kept, err
}

// missing is how many of a part's rows ClickHouse does not have.
func (s *Store) missing(ctx context.Context, m *manifest, kept part) (int, error) {
	if kept.Rows == 0 {
		return 0, nil
	}
	there, err := s.count(ctx, bookOf(kept.Book), m.segmentID, kept)
	return max(0, kept.Rows-int(there)), err //nolint:gosec // not more than a segment holds
}

// recount makes the sums of a segment's tenants and hours agree with their rows,
// which are the truth. While a sum is made again, who reads it sees less. Each
// gateway has its own tenants, and this one's segments go one by one: nothing
// else adds to these sums meanwhile.
func (s *Store) recount(ctx context.Context, m *manifest, p part) error {
	for _, r := range rollups {
		var before []period
		for {
			found, err := s.disagreeing(ctx, r, m, p)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				break
			}
			if len(before) > 0 && !found[0].after(before[0]) { // what was just made
				s.log.Error().Str("table", r.table).Msg("sums in ClickHouse do not come to agree with the rows: does something else write there?")
				break
			}
			s.log.Warn().Str("table", r.table).Int("sums", len(found)).Msg("sums in ClickHouse did not agree with the rows; they are made again from them")
			if err := s.again(ctx, r, m, found); err != nil {
				return err
			}
			before = found
		}
	}
	return nil
}

// period is a sum's: whose, and the hour or day that it begins with.
type period struct {
	tenant string
	begin  time.Time
}

// after reports whether a period comes behind another in disagreeing's order.
func (p period) after(other period) bool {
	return cmp.Or(strings.Compare(p.tenant, other.tenant), p.begin.Compare(other.begin)) > 0
}

// disagreeing finds sums that are not those of the rows, among those to which the
// segment has added. A day's sums are held against those of its hours, which were
// looked at before.
func (s *Store) disagreeing(ctx context.Context, r rollup, m *manifest, p part) (found []period, err error) {
	name := s.client.schema.name
	rows, at, number := name("requests")+" FINAL", r.of("started_at"), "toInt64(count())"
	if r.period == "day" {
		rows, at, number = name("requests_1h"), r.of("hour"), "toInt64(sum(s_requests))"
	}
	const times = " >= toDateTime(?, 'UTC')"
	from, until := r.bounds(p)
	touched := ") GLOBAL IN (SELECT tenant, " + r.of("started_at") + " FROM " + name("requests") + " WHERE gateway = ? AND epoch = ? AND seq = ? AND started_at" + times +
		" AND started_at < toDateTime(?, 'UTC'))"
	side := func(table, at, number string) string {
		return "SELECT tenant, " + at + " AS begin, " + number + " AS n FROM " + table + " WHERE " + at + " >= " + r.of("toDateTime(?, 'UTC')") + " AND " + at + " < " +
			r.of("toDateTime(?, 'UTC')") + " AND (tenant, " + at + touched + " GROUP BY tenant, begin"
	}
	query := "SELECT toString(tenant), toUnixTimestamp(toDateTime(begin, 'UTC')) FROM (" + side(rows, at, number) + " UNION ALL " +
		side(name(r.table), r.period, "-toInt64(sum(s_requests))") + fmt.Sprintf(") GROUP BY tenant, begin HAVING sum(n) != 0 ORDER BY tenant, begin LIMIT %d", differing)
	bound := []any{from.Unix(), until.Unix(), m.Gateway.String(), m.Epoch, m.Seq, from.Unix(), until.Unix()}
	list, err := s.client.conn.Query(ctx, query, append(bound, bound...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot hold sums against rows: %w", err)
	}
	defer list.Close() //nolint:errcheck // Err has it
	for list.Next() {
		var tenant string
		var begin uint32
		if err := list.Scan(&tenant, &begin); err != nil {
			return nil, fmt.Errorf("cannot hold sums against rows: %w", err)
		}
		found = append(found, period{tenant, time.Unix(int64(begin), 0)})
	}
	return found, list.Err()
}

// again takes sums away and makes them from the rows. Killed between the two, it
// begins again: the segment is still here.
func (s *Store) again(ctx context.Context, r rollup, m *manifest, which []period) error {
	first, last := which[0].begin, which[0].begin
	pairs, bound := make([]string, 0, len(which)), make([]any, 0, 2+2*len(which))
	for _, w := range which {
		pairs, bound = append(pairs, "(?, ?)"), append(bound, w.tenant, w.begin.Unix())
		if w.begin.Before(first) {
			first = w.begin
		} else if w.begin.After(last) {
			last = w.begin
		}
	}
	among := func(at string) string {
		return "(tenant, toUnixTimestamp(toDateTime(" + at + ", 'UTC'))) IN (" + strings.Join(pairs, ", ") + ")"
	}
	limited, done := context.WithTimeout(ctx, s.client.server.Timeout)
	defer done()
	gone := "DELETE FROM " + s.client.schema.local(r.table) + s.client.schema.on() + " WHERE " + among(r.period)
	if err := s.client.conn.Exec(clickhouse.Context(limited, clickhouse.WithSettings(clickhouse.Settings{"lightweight_deletes_sync": 2})), gone, bound...); err != nil {
		return fmt.Errorf("cannot make sums again (it needs ALTER DELETE on %s): %w", r.table, err)
	}
	anew := "INSERT INTO " + s.client.schema.name(r.table) + " " + s.client.schema.rollupSelect(r.period, r.of("started_at")) + " FROM " + s.client.schema.name("requests") +
		" AS t FINAL WHERE started_at >= toDateTime(?, 'UTC') AND started_at < toDateTime(?, 'UTC') AND " + among(r.of("started_at")) +
		" GROUP BY tenant, " + r.period + ", " + dimensions
	bound = append([]any{first.Unix(), r.next(last).Unix()}, bound...)
	return s.exec(ctx, m.token()+"/recount/"+uuid.NewString(), anew, bound...)
}

// rollup is a table of sums.
type rollup struct {
	table, period string
	call          string // the function that gives a moment's period
	days          int    // that a period lasts; 0 is an hour
}

// rollups are all of them; days are summed up from the same rows as hours.
var rollups = []rollup{{"requests_1h", "hour", "toStartOfHour", 0}, {"requests_1d", "day", "toDate", 1}}

// of is the period of an expression.
func (r rollup) of(moment string) string { return r.call + "(" + moment + ")" }

// next is where the period behind that of t begins.
func (r rollup) next(t time.Time) time.Time {
	if r.days == 0 {
		return t.UTC().Truncate(time.Hour).Add(time.Hour)
	}
	return time.Date(t.UTC().Year(), t.UTC().Month(), t.UTC().Day()+r.days, 0, 0, 0, 0, time.UTC)
}

// bounds are the beginning of a part's first period, and that behind its last.
func (r rollup) bounds(p part) (from, until time.Time) {
	from = p.First.UTC().Truncate(time.Hour)
	if r.days > 0 {
		from = time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	}
	return from, r.next(p.Last)
}
