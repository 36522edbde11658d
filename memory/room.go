package memory

import (
	"context"
	"database/sql"
)

const (
	// rowBytes is what a memory counts for beside its texts: its row, its entries
	// in the indexes of the store, and in those of recall.
	rowBytes = 512
	// bucketPart is which part of the bound on resident buckets one bucket may
	// store: in memory a text takes up to some two times as much, with its words.
	bucketPart = 4
)

// room is what a bucket and its tenant have stored.
type room struct {
	memories int64 // of the bucket
	bucket   int64 // bytes
	tenant   int64 // bytes of all buckets
}

// roomOf reads the counters of a bucket and of its tenant.
func roomOf(ctx context.Context, tx *sql.Tx, bucketID string) (r room, err error) {
	var tenant string
	if err = tx.QueryRowContext(ctx, "SELECT tenant, memories, bytes + beside + ? * memories FROM buckets WHERE id = ?", rowBytes, bucketID).
		Scan(&tenant, &r.memories, &r.bucket); err != nil {
		return r, err
	}
	r.tenant, err = tenantBytes(ctx, tx, tenant)
	return r, err
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// tenantBytes reads what counts of all that a tenant has.
func tenantBytes(ctx context.Context, db querier, tenant string) (n int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT coalesce((SELECT bytes + beside + ?1 * memories FROM holdings WHERE tenant = ?2), 0)
		+ coalesce((SELECT bytes FROM extras WHERE tenant = ?2), 0)`, rowBytes, tenant).Scan(&n)
	return n, err
}

// within refuses what has brought a tenant beyond what it may have stored.
func (k *Keeper) within(ctx context.Context, tx *sql.Tx, tenant string) error {
	n, err := tenantBytes(ctx, tx, tenant)
	if err == nil && n > k.o.MaxTenantBytes {
		err = ErrTenantFull
	}
	return err
}

// grow refuses what would bring so many memories and bytes more than may be. A
// bucket that is larger already stays as it is.
func (k *Keeper) grow(r *room, memories, bytes int64) error {
	switch {
	case r.memories+memories > k.o.MaxBucketMemories:
		return ErrFull
	case r.tenant+bytes > k.o.MaxTenantBytes:
		return ErrTenantFull
	case r.bucket+bytes > k.o.MaxResidentBytes/bucketPart:
		return ErrTooLarge
	}
	return nil
}

// mayChange refuses a change that needs more bytes than may be. A bucket that was
// too large before can be changed still.
func (k *Keeper) mayChange(before, after *room) error {
	most := k.o.MaxResidentBytes / bucketPart
	switch {
	case after.tenant > k.o.MaxTenantBytes:
		return ErrTenantFull
	case before.bucket <= most && after.bucket > most:
		return ErrTooLarge
	}
	return nil
}

// bytesOf is what a memory counts for.
func bytesOf(m *Memory) (int64, error) {
	facts, err := factsText(m.Facts)
	return int64(rowBytes + len(m.Content) + len(facts) + len(m.Metadata) + len(m.Role) + len(m.Speaker) + len(m.Session)), err
}

// full reports whether a tenant has stored as much as it may.
func (k *Keeper) full(ctx context.Context, tenant string) (bool, error) {
	n, err := tenantBytes(ctx, k.o.Read, tenant)
	return n >= k.o.MaxTenantBytes, unavailable(err)
}
