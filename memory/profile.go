package memory

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"
)

// Profile is a summary of a bucket that the tenant's own model has written.
type Profile struct {
	BucketID string
	Text     string // empty: none was written
	At       time.Time
	Memories int64  // how many there were
	Source   string // the model
}

// Profile gives a bucket's summary. The default bucket always has one, if only
// an empty one.
func (k *Keeper) Profile(ctx context.Context, tenant, bucket string) (p Profile, err error) {
	var text sql.NullString
	var at int64
	err = k.o.Read.QueryRowContext(ctx, "SELECT id, profile, profile_at, profile_memories, profile_source FROM buckets WHERE tenant = ? AND name = ?", tenant, bucket).
		Scan(&p.BucketID, &text, &at, &p.Memories, &p.Source)
	switch {
	case err == sql.ErrNoRows && bucket == DefaultBucket:
		return p, nil
	case err == sql.ErrNoRows:
		return p, ErrNotFound
	}
	p.Text, p.At = text.String, timeOf(at)
	return p, unavailable(err)
}

// MaxProfileBytes is how long a profile may be.
const MaxProfileBytes = 16 << 10

// SetProfile keeps a summary that was written.
func (k *Keeper) SetProfile(ctx context.Context, tenant, bucket string, p *Profile) error {
	if len(p.Text) > MaxProfileBytes {
		return &InvalidError{"profile", "must not be longer than " + strconv.Itoa(MaxProfileBytes) + " bytes"}
	}
	return k.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE buckets SET profile = ?, profile_at = ?, profile_memories = ?, profile_source = ? WHERE tenant = ? AND name = ?",
			p.Text, micros(p.At), p.Memories, p.Source, tenant, bucket)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return k.within(ctx, tx, tenant)
	})
}
