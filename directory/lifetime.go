package directory

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Lifetime gives when a tenant was created, and when it was deleted; the zero
// time if it was not. It asks the database, which remembers deleted tenants for
// ever. ErrNotFound for one that never was.
func (d *Directory) Lifetime(ctx context.Context, tenant string) (created, deleted time.Time, err error) {
	var from, to int64
	err = d.db.Read.QueryRowContext(ctx, "SELECT created_at, deleted_at FROM tenants WHERE id = ?", tenant).Scan(&from, &to)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return created, deleted, ErrNotFound
	case err != nil:
		return created, deleted, unavailable(err)
	case to > 0:
		deleted = time.Unix(to, 0).UTC()
	}
	return time.Unix(from, 0).UTC(), deleted, nil
}
