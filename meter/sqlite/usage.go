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

// Usage implements usage.Store. Rows of one tenant are ordered by key. By token
// or credential over all tenants they are ordered by tenant and key, one tenant
// after the other, so that a page costs what is on it.
func (s *Store) Usage(ctx context.Context, q usage.Question) ([]usage.Row, error) {
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot read usage: %w", ctx.Err())
	}
	q = q.Whole()
	var all []usage.Row
	var err error
	if q.Tenant == "" && q.PerTenant() {
		all, err = s.usageOfEach(ctx, q)
	} else {
		all, err = s.usage(ctx, q)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read usage: %w", err)
	}
	return all, nil
}

// usageOfEach asks for each tenant from the cursor on until the page is full.
func (s *Store) usageOfEach(ctx context.Context, q usage.Question) (all []usage.Row, err error) {
	tenant := sql.NullString{String: q.After.Tenant, Valid: true}
	one := q
	for tenant.Valid {
		if q.Limit > 0 {
			if one.Limit = q.Limit - len(all); one.Limit <= 0 {
				break
			}
		}
		rows, err := s.usageOf(ctx, one, tenant.String)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i].Tenant = tenant.String
		}
		all = append(all, rows...)
		one.After = usage.Cursor{} // a later tenant's page begins at its beginning
		if err := s.db.Read.QueryRowContext(ctx, nextTenant, tenant.String).Scan(&tenant); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// nextTenant is the tenant after another, by the key; NULL after the last.
const nextTenant = "SELECT min(tenant) FROM requests_1h WHERE tenant > ?"

func (s *Store) usage(ctx context.Context, q usage.Question) ([]usage.Row, error) {
	if q.Tenant == "" {
		return s.usageIn(ctx, q, everyTenant)
	}
	return s.usageOf(ctx, q, q.Tenant)
}

func (s *Store) usageOf(ctx context.Context, q usage.Question, tenant string) ([]usage.Row, error) {
	return s.usageIn(ctx, q, ofTenant(tenant))
}

// source says whose rows are read.
type source struct {
	with, from, where string
	bound             []any
}

func ofTenant(tenant string) source { return source{where: "tenant = ?", bound: []any{tenant}} }

// everyTenant reads the rows of all tenants by way of the key, whose first
// column the tenant is: it steps from each tenant to the next, and so passes
// over the hours that were not asked for. Refused calls without a tenant are
// of the tenant ”.
var everyTenant = source{
	with: `WITH RECURSIVE tenants (t) AS (SELECT '' UNION ALL
		SELECT (SELECT min(tenant) FROM requests_1h WHERE tenant > t) FROM tenants WHERE t IS NOT NULL) `,
	from: "tenants CROSS JOIN ", where: "tenant = t",
}

// statement reads one of the two tables of sums; with what is bound in it. The
// pluses keep SQLite from going by a later column of the key (sqlite.org, "The
// SQLite Query Optimizer Overview", 2).
func (s source) statement(columns, table string, q usage.Question, rest string) (string, []any) {
	key := keys[q.By]
	where, bound := s.where+" AND hour >= ? AND hour < ?", append(append([]any{}, s.bound...), q.From.Unix(), q.To.Unix())
	if q.Token != "" {
		where, bound = where+" AND +token = ?", append(bound, q.Token)
	}
	if q.After.Set {
		where, bound = where+" AND +"+key+" > ?", append(bound, q.After.Key)
	}
	return s.with + "SELECT " + key + " AS k, " + columns + " FROM " + s.from + table + " WHERE " + where + rest, bound
}

func (s *Store) usageIn(ctx context.Context, q usage.Question, of source) ([]usage.Row, error) {
	query, bound := of.sums(q)
	rows, err := s.db.Read.QueryContext(ctx, query, bound...)
	if err != nil {
		return nil, err
	}
	all, err := usageRows(rows)
	if err == nil && len(all) > 0 {
		query, bound = of.latencies(q, all[len(all)-1].Key)
		err = s.latencies(ctx, query, bound, all)
	}
	return all, err
}

// sums is the statement for the sums of a page.
func (s source) sums(q usage.Question) (string, []any) {
	sums := make([]string, len(usage.SumNames))
	for i, name := range usage.SumNames {
		sums[i] = sumOf(name)
	}
	rest := " GROUP BY k ORDER BY k"
	if q.Limit > 0 {
		rest += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	return s.statement(strings.Join(sums, ", "), "requests_1h", q, rest)
}

// latencies is the statement for the latencies of a page that ends with a key.
func (s source) latencies(q usage.Question, last string) (string, []any) {
	query, bound := s.statement("kind, bucket, "+sumOf("requests"), "latency_1h", q, " AND +"+keys[q.By]+" <= ? GROUP BY k, kind, bucket ORDER BY k, kind, bucket")
	return query, append(bound, last)
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
