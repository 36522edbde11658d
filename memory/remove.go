package memory

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// Filter chooses memories of a bucket. All that is set must hold; the zero
// filter chooses all.
type Filter struct {
	Session string
	Speaker string
	Role    string
	Before  time.Time // observed before
	After   time.Time // observed at or after
	// Metadata are members of the metadata, by name, and their values as text.
	Metadata map[string]string
}

// Empty reports whether the filter chooses all.
func (f *Filter) Empty() bool {
	return f.Session == "" && f.Speaker == "" && f.Role == "" && f.Before.IsZero() && f.After.IsZero() && len(f.Metadata) == 0
}

// where is the filter as a condition on memories m.
func (f *Filter) where() (condition string, args []any) {
	var all strings.Builder
	and := func(part string, value any) {
		all.WriteString(" AND " + part)
		args = append(args, value)
	}
	for _, t := range []struct{ column, value string }{{"session", f.Session}, {"speaker", f.Speaker}, {"role", f.Role}} {
		if t.value != "" {
			and("m."+t.column+" = ?", t.value)
		}
	}
	if !f.Before.IsZero() {
		and("m.observed_at < ?", micros(f.Before))
	}
	if !f.After.IsZero() {
		and("m.observed_at >= ?", micros(f.After))
	}
	for name, value := range f.Metadata {
		all.WriteString(" AND m.metadata <> '' AND CAST(json_extract(m.metadata, ?) AS TEXT) = ?")
		args = append(args, `$."`+strings.ReplaceAll(name, `"`, ``)+`"`, value)
	}
	return all.String(), args
}

// doomed is a memory that is about to be deleted.
type doomed struct {
	seq   int64
	id    string
	bytes int64
	at    time.Time // from when on it does not count
}

// Delete deletes one memory: its row with every version, its words, its vector,
// what is left to do for it, and the answers it may stand in. When Delete
// returns, no recall can find it.
func (k *Keeper) Delete(ctx context.Context, who *Caller, bucket, id string) error {
	n, err := k.remove(ctx, who, bucket, func(ctx context.Context, tx *sql.Tx, bucketID string) ([]doomed, error) {
		return choose(ctx, tx, time.Now(), " m.tenant = ? AND m.bucket_id = ? AND m.id = ?", who.Tenant, bucketID, id)
	})
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// DeleteAll deletes the memories of a bucket that f chooses, and says how many
// they are. With dry it deletes none.
func (k *Keeper) DeleteAll(ctx context.Context, who *Caller, bucket string, f *Filter, dry bool) (int64, error) {
	condition, args := f.where()
	if dry {
		var n int64
		err := k.o.Read.QueryRowContext(ctx, "SELECT count(*) FROM memories m JOIN buckets b ON b.id = m.bucket_id WHERE m.tenant = ? AND b.tenant = m.tenant AND b.name = ?"+condition,
			append([]any{who.Tenant, bucket}, args...)...).Scan(&n)
		return n, unavailable(err)
	}
	return k.remove(ctx, who, bucket, func(ctx context.Context, tx *sql.Tx, bucketID string) ([]doomed, error) {
		return choose(ctx, tx, time.Now(), " m.tenant = ? AND m.bucket_id = ?"+condition, append([]any{who.Tenant, bucketID}, args...)...)
	})
}

// DeleteBucket deletes a bucket with all its memories.
func (k *Keeper) DeleteBucket(ctx context.Context, who *Caller, bucket string) error {
	_, err := k.remove(ctx, who, bucket, func(ctx context.Context, tx *sql.Tx, bucketID string) ([]doomed, error) {
		all, err := choose(ctx, tx, time.Now(), " m.tenant = ? AND m.bucket_id = ?", who.Tenant, bucketID)
		if err == nil {
			err = drop(ctx, tx, all)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM buckets WHERE tenant = ? AND id = ?", who.Tenant, bucketID)
		}
		return all, err
	})
	return err
}

// DeleteTenant deletes all that a tenant has here.
func (k *Keeper) DeleteTenant(ctx context.Context, tenant string) error {
	buckets, err := k.Buckets(ctx, tenant)
	for i := 0; err == nil && i < len(buckets); i++ {
		err = k.DeleteBucket(ctx, &Caller{Tenant: tenant}, buckets[i].Name)
	}
	if err != nil {
		return err
	}
	_, err = k.o.Write.ExecContext(ctx, "DELETE FROM answers WHERE tenant = ?", tenant)
	return unavailable(err)
}

// remove deletes what choose gives, in one transaction with the events that
// tell of it, and then from memory.
func (k *Keeper) remove(ctx context.Context, who *Caller, bucket string, choose func(ctx context.Context, tx *sql.Tx, bucketID string) ([]doomed, error)) (int64, error) {
	b, err := k.begin(ctx, who.Tenant, bucket)
	if err != nil {
		return 0, err
	}
	defer b.end()
	ctx = context.WithoutCancel(ctx)
	var all []doomed
	err = k.write(ctx, func(tx *sql.Tx) error {
		var bucketID string
		err := tx.QueryRowContext(ctx, "SELECT id FROM buckets WHERE tenant = ? AND name = ?", who.Tenant, bucket).Scan(&bucketID)
		if err == sql.ErrNoRows {
			return ErrNotFound
		}
		if err == nil {
			all, err = choose(ctx, tx, bucketID)
		}
		if err == nil {
			err = drop(ctx, tx, all)
		}
		if err == nil {
			err = addDeletions(ctx, tx, who, bucketID, all)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	k.apply(b, func(r *resident) {
		for _, d := range all {
			r.remove(d.id)
		}
	})
	wake(k.wakeEvents)
	return int64(len(all)), nil
}

// choose lists the memories that are about to be deleted.
func choose(ctx context.Context, tx *sql.Tx, at time.Time, where string, args ...any) (all []doomed, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT m.seq, m.id, length(CAST(m.content AS BLOB)), m.expires_at FROM memories m WHERE"+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		d := doomed{at: at}
		var expires int64
		if err := rows.Scan(&d.seq, &d.id, &d.bytes, &expires); err != nil {
			return nil, err
		}
		if e := timeOf(expires); expires != 0 && e.Before(at) {
			d.at = e
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// drop deletes rows, and by their foreign keys all that hangs on them.
func drop(ctx context.Context, tx *sql.Tx, all []doomed) error {
	for _, d := range all {
		if _, err := tx.ExecContext(ctx, "DELETE FROM memories WHERE seq = ?", d.seq); err != nil {
			return err
		}
	}
	return nil
}

// addDeletions tells the meter: in one event what goes now, and one for each
// that had expired before.
func addDeletions(ctx context.Context, tx *sql.Tx, who *Caller, bucketID string, all []doomed) error {
	now := time.Now()
	var n, bytes int64
	for _, d := range all {
		if d.at.Before(now.Add(-time.Minute)) {
			if err := addEvent(ctx, tx, who, bucketID, d.at, Deleted, 1, d.bytes); err != nil {
				return err
			}
			continue
		}
		n++
		bytes += d.bytes
	}
	if n == 0 {
		return nil
	}
	return addEvent(ctx, tx, who, bucketID, now, Deleted, n, bytes)
}

// sweepInterval is how often expired memories, and those of tenants that are no
// more, are deleted. They are not recalled from their hour on, and the event
// carries that hour.
const sweepInterval = 10 * time.Second

func (k *Keeper) expire() {
	defer crash.Exit()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		ctx := context.WithoutCancel(k.background)
		if err := k.sweep(ctx); err != nil {
			k.o.Trouble("expired memories wait", err)
		}
		select {
		case <-k.background.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep deletes what is over.
func (k *Keeper) sweep(ctx context.Context) error {
	k.sweeping.Lock()
	defer k.sweeping.Unlock()
	now := time.Now()
	type place struct{ tenant, bucket string }
	var expired []place
	var tenants []string
	err := each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var p place
		err := rows.Scan(&p.tenant, &p.bucket)
		expired = append(expired, p)
		return err
	}, "SELECT DISTINCT b.tenant, b.name FROM memories m JOIN buckets b ON b.id = m.bucket_id WHERE m.expires_at > 0 AND m.expires_at <= ?", now.UnixMicro())
	if err == nil {
		err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
			var t string
			err := rows.Scan(&t)
			tenants = append(tenants, t)
			return err
		}, "SELECT DISTINCT tenant FROM buckets")
	}
	for i := 0; err == nil && i < len(expired); i++ {
		p := expired[i]
		_, err = k.remove(ctx, &Caller{Tenant: p.tenant}, p.bucket, func(ctx context.Context, tx *sql.Tx, bucketID string) ([]doomed, error) {
			return choose(ctx, tx, now, " m.tenant = ? AND m.bucket_id = ? AND m.expires_at > 0 AND m.expires_at <= ?", p.tenant, bucketID, now.UnixMicro())
		})
	}
	for i := 0; err == nil && i < len(tenants); i++ {
		if k.o.Tenants(tenants[i]) {
			err = k.followModel(ctx, tenants[i])
		} else {
			err = k.DeleteTenant(ctx, tenants[i])
		}
	}
	if err == nil {
		_, err = k.o.Write.ExecContext(ctx, "DELETE FROM answers WHERE at < ?", now.Add(-keptAnswers).UnixMicro())
	}
	return storeError(err)
}

// each calls scan for every row of a query.
func each(ctx context.Context, db *sql.DB, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
