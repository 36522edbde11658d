package directory

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Replaced is what a credential was before its last replacement. The
// ciphertext stays in the database.
type Replaced struct {
	Fingerprint string
	KeyVersion  int
	ReplacedAt  time.Time
}

// Replaced gives what a credential can go back to; ErrNotFound for nothing.
func (d *Directory) Replaced(ctx context.Context, credentialID string) (*Replaced, error) {
	var r Replaced
	var at int64
	err := d.db.Read.QueryRowContext(ctx, "SELECT fingerprint, key_version, replaced_at FROM replaced_credentials WHERE credential_id = ?", credentialID).
		Scan(&r.Fingerprint, &r.KeyVersion, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r.ReplacedAt = fromUnix(at)
	return &r, nil
}

const replacedColumns = "base_url, host, organization, project, sealed, fingerprint, key_version, keyring, address, key_name"

// keepReplaced keeps a credential as it is now, to go back to, unless the new
// secret is the same.
func keepReplaced(ctx context.Context, tx *sql.Tx, next *Credential, now int64) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO replaced_credentials (credential_id, replaced_at, "+replacedColumns+")"+
		" SELECT id, ?, "+replacedColumns+" FROM credentials WHERE id = ? AND deleted_at = 0 AND (fingerprint <> ? OR host <> ? OR address <> '' AND address <> ?)",
		now, next.ID, next.Fingerprint, next.Host, next.Address)
	return err
}

// RollBackCredential puts back what a credential was before its last
// replacement, and keeps what it is now in its place: to roll back twice
// changes nothing. ErrNotFound when there is nothing to go back to.
func (d *Directory) RollBackCredential(ctx context.Context, c *Credential) (*Credential, error) {
	err := d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		var r Credential
		err := tx.QueryRowContext(ctx, "SELECT "+replacedColumns+" FROM replaced_credentials WHERE credential_id = ?", c.ID).
			Scan(&r.BaseURL, &r.Host, &r.Organization, &r.Project, &r.Sealed, &r.Fingerprint, &r.KeyVersion, &r.Keyring, &r.Address, &r.Key)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := keepReplaced(ctx, tx, &Credential{ID: c.ID}, now); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE credentials SET ("+replacedColumns+") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), updated_at = ?, revision = ?"+
			" WHERE id = ? AND deleted_at = 0", r.BaseURL, r.Host, r.Organization, r.Project, r.Sealed, r.Fingerprint, r.KeyVersion, r.Keyring, r.Address, r.Key, now, revision, c.ID))
	})
	if err != nil {
		return nil, err
	}
	t, err := d.Tenant(c.TenantID)
	if err != nil {
		return nil, err
	}
	return t.Credential(c.Provider, c.Label)
}

// ForgetReplaced ends what a credential was before: there is no way back. It
// does nothing when the credential is not any more the one that was looked at.
// The ciphertext is erased before it returns (ErrErasing).
func (d *Directory) ForgetReplaced(ctx context.Context, c *Credential) error {
	const query = "DELETE FROM replaced_credentials WHERE credential_id IN (SELECT id FROM credentials WHERE id = ? AND revision = ?)"
	if _, err := d.db.Write.ExecContext(ctx, query, c.ID, c.Generation); err != nil {
		return unavailable(err)
	}
	return d.erase(ctx, nil)
}

// Shred is a deleted tenant whose keys are still to be destroyed.
type Shred struct {
	TenantID string
	// Unnamed says that it has had a key named after the tenant alone.
	Unnamed bool
}

// PendingShreds lists the deleted tenants whose keys are still to be
// destroyed.
func (d *Directory) PendingShreds(ctx context.Context) (all []Shred, err error) {
	rows, err := d.db.Read.QueryContext(ctx, "SELECT id, unnamed_key FROM tenants WHERE shred = 1")
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Shred
		if err := rows.Scan(&s.TenantID, &s.Unnamed); err != nil {
			return nil, unavailable(err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// Shredded notes that a deleted tenant's key is destroyed.
func (d *Directory) Shredded(ctx context.Context, id string) error {
	if _, err := d.db.Write.ExecContext(ctx, "UPDATE tenants SET shred = 2 WHERE id = ? AND shred = 1", id); err != nil {
		return unavailable(err)
	}
	return nil
}
