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
	err = tx.QueryRowContext(ctx, `SELECT b.memories, b.bytes + b.beside + ?1 * b.memories, h.bytes + h.beside + ?1 * h.memories
		FROM buckets b JOIN holdings h ON h.tenant = b.tenant WHERE b.id = ?2`, rowBytes, bucketID).Scan(&r.memories, &r.bucket, &r.tenant)
	return r, err
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
	var bytes int64
	err := k.o.Read.QueryRowContext(ctx, "SELECT coalesce(max(bytes + beside + ? * memories), 0) FROM holdings WHERE tenant = ?", rowBytes, tenant).Scan(&bytes)
	return bytes >= k.o.MaxTenantBytes, unavailable(err)
}
