package clickhouse

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ownkey/ownkey/meter/usage"
)

// keys are the expressions that rows are grouped by.
var keys = map[usage.By]string{
	usage.ByHour:       "formatDateTime(hour, '%Y-%m-%dT%H:00:00Z')",
	usage.ByDay:        "formatDateTime(hour, '%Y-%m-%dT00:00:00Z')",
	usage.ByModel:      "toString(model)",
	usage.ByToken:      "toString(token)",
	usage.ByCredential: "toString(credential)",
	usage.ByTenant:     "toString(tenant)",
	usage.ByProvider:   "toString(provider)",
}

// saturated adds up a column of unsigned numbers. A sum of 64 bits would wrap
// silently; this one stays at the largest Int64.
func saturated(column string) string {
	return "toInt64(least(sum(toUInt128(" + column + ")), toUInt128(9223372036854775807)))"
}

// Usage implements usage.Store, with the order that sqlite.Store has.
func (s *Store) Usage(ctx context.Context, q usage.Question) ([]usage.Row, error) {
	q = q.Whole()
	sums := make([]string, len(usage.SumNames))
	for i, name := range usage.SumNames {
		sums[i] = saturated("s_" + name)
	}
	const merge = "arrayMap(v -> toFloat64(v), quantilesTDigestIfMerge(0.5, 0.9, 0.95, 0.99)("
	each, tenant := q.Tenant == "" && q.PerTenant(), "''"
	if each {
		tenant = "toString(tenant)"
	}
	query := "SELECT " + keys[q.By] + " AS k, " + tenant + ", " + strings.Join(sums, ", ") + ", " + merge + "q_total_us)), " + merge + "q_first_byte_us)) FROM " +
		s.client.schema.name("requests_1h") + " WHERE hour >= toDateTime(?, 'UTC') AND hour < toDateTime(?, 'UTC')"
	bound := []any{q.From.Unix(), q.To.Unix()}
	if q.Tenant != "" {
		query, bound = query+" AND tenant = ?", append(bound, q.Tenant)
	}
	if q.Token != "" {
		query, bound = query+" AND token = ?", append(bound, q.Token)
	}
	order := "k"
	if each {
		order = "tenant, k"
	}
	switch {
	case q.After.Set && each:
		query += " AND (tenant, " + keys[q.By] + ") > (?, ?) AND tenant >= ?"
		bound = append(bound, q.After.Tenant, q.After.Key, q.After.Tenant)
	case q.After.Set:
		query, bound = query+" AND "+keys[q.By]+" > ?", append(bound, q.After.Key)
	}
	query += " GROUP BY " + order + " ORDER BY " + order
	if q.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	found, err := s.client.conn.Query(bounded(ctx), query, bound...)
	if err != nil {
		return nil, fmt.Errorf("cannot read usage: %w", err)
	}
	defer found.Close() //nolint:errcheck // Err has it
	var all []usage.Row
	for found.Next() {
		var r usage.Row
		var total, first []float64
		to := make([]any, 2, 4+len(usage.SumNames))
		to[0], to[1] = &r.Key, &r.Tenant
		for _, p := range r.Pointers() {
			to = append(to, p)
		}
		if err := found.Scan(append(to, &total, &first)...); err != nil {
			return nil, fmt.Errorf("cannot read usage: %w", err)
		}
		r.Total, r.FirstByte = latency(total), latency(first)
		r.Finish()
		all = append(all, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("cannot read usage: %w", err)
	}
	return all, nil
}

// questionTime bounds what the server spends on a question whose asker has gone:
// over HTTP it does not notice.
const questionTime = 60

func bounded(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": questionTime}))
}

// latency is a merged state, from microseconds; zero when there was none.
func latency(us []float64) (l usage.Latency) {
	if len(us) == 4 && !math.IsNaN(us[0]) {
		l = usage.Latency{P50: us[0] / 1000, P90: us[1] / 1000, P95: us[2] / 1000, P99: us[3] / 1000}
	}
	return l
}
