package directory

import (
	"context"
	"database/sql"
	"time"
)

// Suspended reports whether an operator has suspended the tenant: nothing of it
// is served until Resume, and everything stays stored.
func (t *Tenant) Suspended() bool { return !t.SuspendedAt.IsZero() }

// SuspendTenant refuses a tenant's calls until ResumeTenant. To suspend it again
// changes nothing.
func (d *Directory) SuspendTenant(ctx context.Context, id string) (*Tenant, error) {
	return d.suspend(ctx, id, "CASE suspended_at WHEN 0 THEN ? ELSE suspended_at END", time.Now().Unix())
}

// ResumeTenant ends a suspension. To resume a tenant that goes on is no error.
func (d *Directory) ResumeTenant(ctx context.Context, id string) (*Tenant, error) {
	return d.suspend(ctx, id, "?", 0)
}

func (d *Directory) suspend(ctx context.Context, id, expression string, value int64) (*Tenant, error) {
	err := d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		return one(tx.ExecContext(ctx, "UPDATE tenants SET suspended_at = "+expression+", revision = ? WHERE id = ? AND deleted_at = 0", value, revision, id))
	})
	if err != nil {
		return nil, err
	}
	return d.Tenant(id)
}
