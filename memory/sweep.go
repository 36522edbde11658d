package memory

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

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

// sweep deletes what is over, and finishes deletions that were broken off.
func (k *Keeper) sweep(ctx context.Context) error {
	k.sweeping.Lock()
	defer k.sweeping.Unlock()
	waiting := k.deleting.waiting()
	errs := make([]error, 0, len(waiting)+3) // what fails for one tenant keeps nothing of another's back
	for _, d := range waiting {
		_, err := k.carryOut(ctx, d)
		errs = append(errs, err)
	}
	now := time.Now()
	expired, err := k.deleteExpired(ctx, now)
	errs = append(errs, err, k.followTenants(ctx), k.forgetAnswers(ctx, "at < ?", now.Add(-keptAnswers).UnixMicro()))
	if expired || len(waiting) > 0 {
		_ = k.erase(ctx) // it counts what is late
	}
	return storeError(errors.Join(errs...))
}

// deleteExpired deletes memories whose time is over.
func (k *Keeper) deleteExpired(ctx context.Context, now time.Time) (some bool, err error) {
	var all []*deletion
	err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
		d := &deletion{at: now, filter: Filter{expired: now}}
		err := rows.Scan(&d.who.Tenant, &d.bucket.name, &d.bucketID, &d.upto)
		d.bucket.tenant = d.who.Tenant
		all = append(all, d)
		return err
	}, "SELECT b.tenant, b.name, b.id, max(m.seq) FROM memories m JOIN buckets b ON b.id = m.bucket_id WHERE m.expires_at > 0 AND m.expires_at <= ? GROUP BY b.id", now.UnixMicro())
	errs := append(make([]error, 0, len(all)+1), err)
	for _, d := range all {
		k.deleting.add(d, true)
		_, err = k.carryOut(ctx, d)
		k.deleting.leave(d, true) // it is found again
		errs = append(errs, err)
	}
	return len(all) > 0, errors.Join(errs...)
}

// followTenants deletes what belongs to tenants that are no more, and notices
// that others have chosen a model.
func (k *Keeper) followTenants(ctx context.Context) error {
	var tenants []string
	err := each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var t string
		err := rows.Scan(&t)
		tenants = append(tenants, t)
		return err
	}, "SELECT tenant FROM holdings")
	errs := append(make([]error, 0, len(tenants)+1), err)
	for _, t := range tenants {
		if k.o.Tenants(t) {
			errs = append(errs, k.followModel(ctx, t))
		} else {
			errs = append(errs, k.deleteTenant(ctx, t))
		}
	}
	k.households.Range(func(t string, _ *household) bool { // of those that have nothing here, too
		if !k.o.Tenants(t) {
			k.households.Delete(t)
		}
		return true
	})
	return errors.Join(errs...)
}

// deleteTenant deletes all that a tenant has here. The caller holds sweeping.
func (k *Keeper) deleteTenant(ctx context.Context, tenant string) error {
	for {
		page, _, err := k.Buckets(ctx, tenant, maxBucketPage, 0)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			if _, err := k.deleteMany(ctx, &Caller{Tenant: tenant}, page[i].Name, &Filter{}, true); err != nil {
				return err
			}
		}
	}
	err := k.forgetAnswers(ctx, "tenant = ?", tenant)
	_ = k.erase(ctx) // it counts what is late
	delete(k.models, tenant)
	return err
}

// forgetAnswers deletes answers to writes that came with an Idempotency-Key, in
// slices.
func (k *Keeper) forgetAnswers(ctx context.Context, where string, arg any) error {
	for {
		r, err := k.o.Write.ExecContext(ctx, "DELETE FROM answers WHERE (tenant, key) IN (SELECT tenant, key FROM answers WHERE "+where+" LIMIT 500)", arg)
		if err != nil {
			return unavailable(err)
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return unavailable(err)
		}
	}
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
