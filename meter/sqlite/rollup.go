package sqlite

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/usage"
)

// group is a row of the hourly sums.
type group struct {
	tenant                             string
	hour                               int64
	token, credential, provider, model string
}

// bucket is a row of the hourly latencies.
type bucket struct {
	group
	kind   string
	number int64
}

// Kinds of latency.
const (
	kindTotal     = "total"
	kindFirstByte = "first_byte"
)

// rollup gathers what a batch adds to the sums.
type rollup struct {
	sums    map[group]*usage.Sums
	latency map[bucket]int64
	// name gives the model's name that is counted under.
	name func(tenant string, hour int64, model string) string
}

func newRollup(name func(tenant string, hour int64, model string) string) *rollup {
	return &rollup{map[group]*usage.Sums{}, map[bucket]int64{}, name}
}

func (u *rollup) add(r *meter.Record) {
	g := group{r.TenantID, r.Start.Truncate(time.Hour).Unix(), r.TokenID, r.CredentialID, r.Provider, usage.ModelOf(r)}
	g.model = u.name(g.tenant, g.hour, g.model)
	sums := u.sums[g]
	if sums == nil {
		sums = &usage.Sums{}
		u.sums[g] = sums
	}
	one := usage.SumsOf(r)
	sums.Add(&one)
	if r.Attempt == 0 || r.TotalTime == 0 {
		return // no provider was asked, or nobody knows how long it took
	}
	u.latency[bucket{g, kindTotal, bucketOf(r.TotalTime)}]++
	u.latency[bucket{g, kindFirstByte, bucketOf(r.FirstByteTime)}]++
}

// base is the ratio of two neighbouring buckets: an answer is off by 2.5 % at
// most.
const base = 1.05

func bucketOf(d time.Duration) int64 {
	return int64(math.Ceil(math.Log(float64(max(1, d.Microseconds()))) / math.Log(base)))
}

// durationOf is a bucket's middle, in milliseconds.
func durationOf(number int64) float64 {
	return math.Pow(base, float64(number)-0.5) / 1000
}

// maxInteger is SQLite's largest integer. A sum beyond it becomes a REAL, which a
// STRICT column refuses.
const maxInteger = "9223372036854775807"

// plus adds what an upsert brings to a column, which stays at the largest
// integer instead of leaving the range.
func plus(column string) string {
	return "min(" + maxInteger + ", " + column + " + excluded." + column + ")"
}

func (u *rollup) write(ctx context.Context, tx *sql.Tx) error {
	if len(u.sums) == 0 {
		return nil
	}
	added := make([]string, len(usage.SumNames))
	for i, name := range usage.SumNames {
		added[i] = name + " = " + plus(name)
	}
	names := strings.Join(usage.SumNames, ", ")
	query := "INSERT INTO requests_1h (tenant, hour, token, credential, provider, model, " + names +
		") VALUES (?, ?, ?, ?, ?, ?" + strings.Repeat(", ?", len(usage.SumNames)) + ") ON CONFLICT DO UPDATE SET " + strings.Join(added, ", ")
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer statement.Close() //nolint:errcheck // the transaction closes it as well
	for g, sums := range u.sums {
		values := []any{g.tenant, g.hour, g.token, g.credential, g.provider, g.model}
		for _, p := range sums.Pointers() {
			values = append(values, *p)
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return u.writeLatency(ctx, tx)
}

func (u *rollup) writeLatency(ctx context.Context, tx *sql.Tx) error {
	statement, err := tx.PrepareContext(ctx, `INSERT INTO latency_1h (tenant, hour, token, credential, provider, model, kind, bucket, requests)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = `+plus("requests"))
	if err != nil {
		return err
	}
	defer statement.Close() //nolint:errcheck // the transaction closes it as well
	for b, n := range u.latency {
		_, err := statement.ExecContext(ctx, b.tenant, b.hour, b.token, b.credential, b.provider, b.model, b.kind, b.number, n)
		if err != nil {
			return err
		}
	}
	return nil
}
