package directory

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// SealedRow is a ciphertext with what it is bound to.
type SealedRow struct {
	CredentialID string
	TenantID     string
	Provider     string
	BaseURL      string
	Host         string
	Address      string // empty: the secret is bound to Host
	Keyring      string
	Key          string
	Sealed       string
	KeyVersion   int
	Fingerprint  string
	// Replaced says that it is what a credential was before.
	Replaced bool
}

// SealedRows lists a tenant's ciphertexts as the database has them, those to
// go back to included.
func (d *Directory) SealedRows(ctx context.Context, tenantID string) (all []SealedRow, err error) {
	const query = "SELECT id, tenant_id, provider, base_url, host, address, keyring, key_name, sealed, key_version, fingerprint, 0 FROM credentials WHERE tenant_id = ?1 AND deleted_at = 0" +
		" UNION ALL SELECT c.id, c.tenant_id, c.provider, r.base_url, r.host, r.address, r.keyring, r.key_name, r.sealed, r.key_version, r.fingerprint, 1" +
		" FROM replaced_credentials r JOIN credentials c ON c.id = r.credential_id WHERE c.tenant_id = ?1 AND c.deleted_at = 0"
	rows, err := d.db.Read.QueryContext(ctx, query, tenantID)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r SealedRow
		if err := rows.Scan(&r.CredentialID, &r.TenantID, &r.Provider, &r.BaseURL, &r.Host, &r.Address, &r.Keyring, &r.Key, &r.Sealed, &r.KeyVersion, &r.Fingerprint, &r.Replaced); err != nil {
			return nil, unavailable(err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return all, nil
}

// Resealed is a row before and after.
type Resealed struct{ Before, After SealedRow }

// Reseal puts new ciphertexts in place of old ones, all or none, and gives how
// many. A row that has changed meanwhile is left as it is: a rewrap never undoes
// somebody's new credential.
func (d *Directory) Reseal(ctx context.Context, rows []Resealed) (replaced int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	err = d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		replaced = 0
		for _, r := range rows {
			a := r.After
			var done sql.Result
			var err error
			if a.Replaced {
				done, err = tx.ExecContext(ctx, "UPDATE replaced_credentials SET sealed = ?, key_version = ?, keyring = ?, key_name = ?, address = ?, fingerprint = ?"+
					" WHERE credential_id = ? AND sealed = ?", a.Sealed, a.KeyVersion, a.Keyring, a.Key, a.Address, a.Fingerprint, a.CredentialID, r.Before.Sealed)
			} else {
				done, err = tx.ExecContext(ctx, "UPDATE credentials SET sealed = ?, key_version = ?, keyring = ?, key_name = ?, address = ?, fingerprint = ?, revision = ?"+
					" WHERE id = ? AND sealed = ? AND deleted_at = 0", a.Sealed, a.KeyVersion, a.Keyring, a.Key, a.Address, a.Fingerprint, revision, a.CredentialID, r.Before.Sealed)
			}
			if err := one(done, err); err == nil {
				replaced++
			} else if !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		return nil
	})
	return replaced, err
}

// Rewrap is a walk over the sealed rows and how far it is.
type Rewrap struct {
	ID          int64
	TenantID    string // empty for all tenants
	State       RewrapState
	Tenants     int
	TenantsDone int
	RowsDone    int
	RowsFailed  int
	Trouble     string
	StartedAt   time.Time
	FinishedAt  time.Time
}

// RewrapState says what a walk is at.
type RewrapState string

// The states, in order.
const (
	RewrapRewrapping RewrapState = "rewrapping" // rows get new ciphertexts
	RewrapSettling   RewrapState = "settling"   // requests with old ciphertexts come to their end
	RewrapRetiring   RewrapState = "retiring"   // old key versions are shut
	RewrapDone       RewrapState = "done"
)

// beatLost is the silence after which a walk is somebody else's to go on with.
const beatLost = 10 * time.Second

const rewrapColumns = "id, tenant_id, state, tenants, tenants_done, rows_done, rows_failed, trouble, started_at, finished_at"

func scanRewrap(row *sql.Row) (*Rewrap, error) {
	var r Rewrap
	var started, finished int64
	err := row.Scan(&r.ID, &r.TenantID, &r.State, &r.Tenants, &r.TenantsDone, &r.RowsDone, &r.RowsFailed, &r.Trouble, &started, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r.StartedAt, r.FinishedAt = fromUnix(started), fromUnix(finished)
	return &r, nil
}

// StartRewrap begins a walk over one tenant's rows, or over all. ErrExists, and
// the one that runs, when it is about other rows.
func (d *Directory) StartRewrap(ctx context.Context, tenantID string) (*Rewrap, error) {
	if tenantID != "" {
		if _, err := d.Tenant(tenantID); err != nil {
			return nil, err
		}
	}
	var running *Rewrap
	err := d.write(ctx, func(tx *sql.Tx, _, now int64) error {
		var err error
		running, err = scanRewrap(tx.QueryRowContext(ctx, "SELECT "+rewrapColumns+" FROM rewraps WHERE state <> ? ORDER BY id DESC LIMIT 1", RewrapDone))
		if errors.Is(err, ErrNotFound) {
			running, err = scanRewrap(tx.QueryRowContext(ctx, "INSERT INTO rewraps (tenant_id, state, started_at) VALUES (?, ?, ?) RETURNING "+rewrapColumns,
				tenantID, RewrapRewrapping, now))
		}
		return err
	})
	if err == nil && running.TenantID != tenantID {
		err = ErrExists
	}
	return running, err
}

// LastRewrap gives the latest walk; ErrNotFound when there never was one.
func (d *Directory) LastRewrap(ctx context.Context) (*Rewrap, error) {
	return scanRewrap(d.db.Read.QueryRowContext(ctx, "SELECT "+rewrapColumns+" FROM rewraps ORDER BY id DESC LIMIT 1"))
}

// ClaimRewrap gives the walk that waits for somebody, and makes it runner's: a
// new one, or one whose process has not been heard of. ErrNotFound for none.
func (d *Directory) ClaimRewrap(ctx context.Context, runner string) (*Rewrap, error) {
	now := time.Now()
	row := d.db.Write.QueryRowContext(ctx, "UPDATE rewraps SET runner = ?, beat_at = ? WHERE state <> ? AND (runner = ? OR beat_at < ?) RETURNING "+rewrapColumns,
		runner, now.Unix(), RewrapDone, runner, now.Add(-beatLost).Unix())
	return scanRewrap(row)
}

// UpdateRewrap stores how far a walk is. ErrNotFound when it has become
// somebody else's.
func (d *Directory) UpdateRewrap(ctx context.Context, runner string, r *Rewrap) error {
	err := one(d.db.Write.ExecContext(ctx, "UPDATE rewraps SET state = ?, tenants = ?, tenants_done = ?, rows_done = ?, rows_failed = ?, trouble = ?,"+
		" finished_at = ?, beat_at = ? WHERE id = ? AND runner = ?", r.State, r.Tenants, r.TenantsDone, r.RowsDone, r.RowsFailed, r.Trouble,
		toUnix(r.FinishedAt), time.Now().Unix(), r.ID, runner))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return err
}
