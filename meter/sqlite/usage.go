package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/usage"
)

// keys are the expressions that rows are grouped by.
var keys = map[usage.By]string{
	usage.ByHour:       "strftime('%Y-%m-%dT%H:00:00Z', hour, 'unixepoch')",
	usage.ByDay:        "strftime('%Y-%m-%dT00:00:00Z', hour, 'unixepoch')",
	usage.ByModel:      "model",
	usage.ByToken:      "token",
	usage.ByCredential: "credential",
	usage.ByTenant:     "tenant",
	usage.ByProvider:   "provider",
}

// sumOf adds up a column. SQLite's sum fails when it leaves the range of
// integers, for all that were asked about; total does not, and is exact up to
// 2^53 (sqlite.org, "Built-in Aggregate Functions"). The cast stays at the largest
// integer.
func sumOf(column string) string { return "CAST(total(" + column + ") AS INTEGER)" }

// Usage answers a question, ordered by key.
func (s *Store) Usage(ctx context.Context, q usage.Question) ([]usage.Row, error) {
	q = q.Whole()
	where := " WHERE hour >= ?1 AND hour < ?2 AND (?3 = '' OR tenant = ?3) AND (?4 = '' OR token = ?4)"
	bound := []any{q.From.Unix(), q.To.Unix(), q.Tenant, q.Token}
	sums := make([]string, len(usage.SumNames))
	for i, name := range usage.SumNames {
		sums[i] = sumOf(name)
	}
	key := keys[q.By]
	rows, err := s.db.Read.QueryContext(ctx, "SELECT "+key+" AS k, "+strings.Join(sums, ", ")+" FROM requests_1h"+where+" GROUP BY k ORDER BY k", bound...)
	if err != nil {
		return nil, fmt.Errorf("cannot read usage: %w", err)
	}
	all, err := usageRows(rows)
	if err == nil {
		err = s.latencies(ctx, "SELECT "+key+" AS k, kind, bucket, "+sumOf("requests")+" FROM latency_1h"+where+" GROUP BY k, kind, bucket ORDER BY k, kind, bucket", bound, all)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read usage: %w", err)
	}
	return all, nil
}

func usageRows(rows *sql.Rows) (all []usage.Row, err error) {
	defer rows.Close() //nolint:errcheck // rows.Err has it
	for rows.Next() {
		var r usage.Row
		to := make([]any, 1, 1+len(usage.SumNames))
		to[0] = &r.Key
		for _, p := range r.Pointers() {
			to = append(to, p)
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		r.Finish()
		all = append(all, r)
	}
	return all, rows.Err()
}

// counts is one distribution: how many in each bucket, in order.
type counts struct {
	bucket, n []int64
	total     int64
}

func (s *Store) latencies(ctx context.Context, query string, bound []any, into []usage.Row) error {
	rows, err := s.db.Read.QueryContext(ctx, query, bound...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	found := map[string]map[string]*counts{}
	for rows.Next() {
		var key, kind string
		var number, n int64
		if err := rows.Scan(&key, &kind, &number, &n); err != nil {
			return err
		}
		if found[key] == nil {
			found[key] = map[string]*counts{kindTotal: {}, kindFirstByte: {}}
		}
		c := found[key][kind]
		if c == nil {
			return errors.New("unknown kind of latency")
		}
		c.bucket, c.n, c.total = append(c.bucket, number), append(c.n, n), meter.Add(c.total, n)
	}
	for i := range into {
		if f := found[into[i].Key]; f != nil {
			into[i].Total, into[i].FirstByte = f[kindTotal].latency(), f[kindFirstByte].latency()
		}
	}
	return rows.Err()
}

func (c *counts) latency() usage.Latency {
	return usage.Latency{P50: c.quantile(0.5), P90: c.quantile(0.9), P95: c.quantile(0.95), P99: c.quantile(0.99)}
}

func (c *counts) quantile(q float64) float64 {
	seen := int64(0)
	for i, n := range c.n {
		if seen = meter.Add(seen, n); float64(seen) >= q*float64(c.total) {
			return durationOf(c.bucket[i])
		}
	}
	return 0
}
