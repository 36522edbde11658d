package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// write runs a change with the next revision, in one transaction, and applies
// it to the replica before it returns: who was answered reads what was written.
func (d *Directory) write(ctx context.Context, change func(tx *sql.Tx, revision, now int64) error) error {
	tx, err := d.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	var revision int64
	if err := tx.QueryRowContext(ctx, "UPDATE counter SET revision = revision + 1 RETURNING revision").Scan(&revision); err != nil {
		return unavailable(err)
	}
	if err := change(tx, revision, time.Now().Unix()); err != nil {
		var invalid *InvalidError
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) || errors.As(err, &invalid) {
			return err
		}
		return unavailable(err)
	}
	if err := tx.Commit(); err != nil {
		return unavailable(err)
	}
	return d.sync(context.WithoutCancel(ctx)) // it is written: who leaves now does not make it a failure
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// one reports ErrNotFound unless a statement changed a row.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return ErrNotFound
}

// encode writes a list as JSON; nil as an empty one.
func encode[T any](list []T) string {
	if list == nil {
		return "[]"
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("BUG: list of strings: " + err.Error())
	}
	return string(b)
}

// liveTenant reports ErrNotFound for a tenant that was deleted meanwhile,
// perhaps by another process.
func liveTenant(ctx context.Context, tx *sql.Tx, id string) error {
	return one(tx.ExecContext(ctx, "UPDATE tenants SET revision = revision WHERE id = ? AND deleted_at = 0", id))
}

// CreateTenant adds a tenant. An id that was used before is ErrExists, also
// while its deletion is remembered.
func (d *Directory) CreateTenant(ctx context.Context, id, name string) (*Tenant, error) {
	if err := check("id", id, tenantName); err != nil {
		return nil, err
	}
	if len(name) > 200 {
		return nil, &InvalidError{"name", "must not be longer than 200 bytes"}
	}
	err := d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		r, err := tx.ExecContext(ctx, "INSERT INTO tenants (id, name, default_provider, routes, created_at, revision)"+
			" VALUES (?, ?, '', '[]', ?, ?) ON CONFLICT DO NOTHING", id, name, now, revision)
		if err := one(r, err); errors.Is(err, ErrNotFound) {
			return ErrExists
		} else if err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d.Tenant(id)
}

// TenantChange is what can change of a tenant; nil stays.
type TenantChange struct {
	Name            *string
	DefaultProvider *string
	Routes          *[]Route
	Memory          *MemoryChange
	Limits          *LimitsChange
}

func (c *TenantChange) applyTo(t *Tenant) error {
	if c.Name != nil {
		t.Name = *c.Name
	}
	if c.DefaultProvider != nil {
		t.DefaultProvider = *c.DefaultProvider
		if t.DefaultProvider != "" {
			if err := check("default_provider", t.DefaultProvider, providerName); err != nil {
				return err
			}
		}
	}
	if c.Routes != nil {
		t.Routes = *c.Routes
	}
	if err := checkRoutes(t.Routes); err != nil {
		return err
	}
	if err := c.Memory.applyTo(&t.Memory); err != nil {
		return err
	}
	return c.Limits.applyTo(&t.Limits)
}

// UpdateTenant changes a tenant. What does not change is as the database has it
// in the transaction that writes: two changes at once are both applied.
func (d *Directory) UpdateTenant(ctx context.Context, id string, c TenantChange) (*Tenant, error) {
	if err := d.checkProviders(&c); err != nil {
		return nil, err
	}
	err := d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		t, deleted, err := scanTenant(tx.QueryRowContext(ctx, "SELECT "+tenantColumns+" FROM tenants WHERE id = ?", id).Scan)
		if errors.Is(err, sql.ErrNoRows) || deleted {
			return fmt.Errorf("tenant %w", ErrNotFound)
		}
		if err != nil {
			return err
		}
		if err := c.applyTo(t); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE tenants SET name = ?, default_provider = ?, routes = ?, memory = ?, limits = ?, revision = ? WHERE id = ?",
			t.Name, t.DefaultProvider, encode(t.Routes), t.Memory.text(), t.Limits.text(), revision, id))
	})
	if err != nil {
		return nil, err
	}
	return d.Tenant(id)
}

// erase ends a deletion: ciphertexts are in no file any more when it returns.
// ErrErasing when a reader holds that up; the deletion stands, and erasing goes
// on behind it.
func (d *Directory) erase(ctx context.Context, deletion error) error {
	if deletion != nil {
		return deletion
	}
	if err := d.db.Erase(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrErasing, err)
	}
	return nil
}

// DeleteTenant ends a tenant with its tokens and credentials, whose ciphertexts
// are erased before it returns (ErrErasing). With shred it is noted that the
// tenant's keys are to be destroyed (PendingShreds).
func (d *Directory) DeleteTenant(ctx context.Context, id string, shred bool) error {
	return d.erase(ctx, d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		if err := one(tx.ExecContext(ctx, "UPDATE tenants SET deleted_at = ?, shred = ?, revision = ? WHERE id = ? AND deleted_at = 0", now, shred, revision, id)); err != nil {
			return err
		}
		const replaced = "DELETE FROM replaced_credentials WHERE credential_id IN (SELECT id FROM credentials WHERE tenant_id = ?)"
		if _, err := tx.ExecContext(ctx, replaced, id); err != nil {
			return err
		}
		_, tokens := tx.ExecContext(ctx, "UPDATE tokens SET revoked_at = ?, revision = ? WHERE tenant_id = ? AND revoked_at = 0", now, revision, id)
		_, credentials := tx.ExecContext(ctx, "UPDATE credentials SET deleted_at = ?, sealed = '', revision = ? WHERE tenant_id = ? AND deleted_at = 0", now, revision, id)
		return errors.Join(tokens, credentials)
	}))
}

// CredentialID gives the id under which a credential is, or will be, stored:
// the secret is sealed for it.
func (d *Directory) CredentialID(tenantID, provider, label string) (string, error) {
	t, err := d.Tenant(tenantID)
	if err != nil {
		return "", err
	}
	if err := errors.Join(check("provider", provider, providerName), check("label", label, labelName)); err != nil {
		return "", err
	}
	for _, c := range t.credentials {
		if c.Provider == provider && c.Label == label {
			return c.ID, nil
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("cannot make credential id: %w", err)
	}
	return id.String(), nil
}

// unchanged reports ErrChanged unless the id is still the one of the name: a
// secret is sealed for an id, so it cannot be stored under another.
func unchanged(ctx context.Context, tx *sql.Tx, c *Credential) error {
	var stale bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM credentials WHERE deleted_at = 0 AND tenant_id = ? AND provider = ? AND label = ? AND id <> ?"+
		" UNION ALL SELECT 1 FROM credentials WHERE deleted_at > 0 AND id = ?)", c.TenantID, c.Provider, c.Label, c.ID, c.ID).Scan(&stale)
	if err == nil && stale {
		return ErrChanged
	}
	return err
}

// PutCredential stores a sealed credential under the id that CredentialID
// gave, in place of the one that is there, which is kept to go back to.
// ErrChanged when the name has got, or lost, its id meanwhile: CredentialID
// gives another one then.
func (d *Directory) PutCredential(ctx context.Context, c Credential) (*Credential, error) {
	if err := errors.Join(check("provider", c.Provider, providerName), check("label", c.Label, labelName),
		check("organization", c.Organization, headerValue), check("project", c.Project, headerValue)); err != nil {
		return nil, err
	}
	if _, err := d.Tenant(c.TenantID); err != nil {
		return nil, err
	}
	err := d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		if err := liveTenant(ctx, tx, c.TenantID); err != nil {
			return err
		}
		if err := unchanged(ctx, tx, &c); err != nil {
			return err
		}
		if err := keepReplaced(ctx, tx, &c, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO credentials (id, tenant_id, provider, label, base_url, host, organization, project, sealed,"+
			" fingerprint, key_version, keyring, address, key_name, created_at, updated_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (id) DO UPDATE SET base_url = excluded.base_url, host = excluded.host, organization = excluded.organization,"+
			" project = excluded.project, sealed = excluded.sealed, fingerprint = excluded.fingerprint, key_version = excluded.key_version,"+
			" keyring = excluded.keyring, address = excluded.address, key_name = excluded.key_name,"+
			" updated_at = excluded.updated_at, revision = excluded.revision WHERE deleted_at = 0",
			c.ID, c.TenantID, c.Provider, c.Label, c.BaseURL, c.Host, c.Organization, c.Project, c.Sealed, c.Fingerprint, c.KeyVersion, c.Keyring, c.Address, c.Key, now, now, revision)
		return err
	})
	if errors.Is(err, ErrChanged) {
		return nil, errors.Join(err, d.sync(ctx)) // the next CredentialID is to know
	}
	if err != nil {
		return nil, err
	}
	t, err := d.Tenant(c.TenantID)
	if err != nil {
		return nil, err
	}
	return t.Credential(c.Provider, c.Label)
}

// DeleteCredential ends a credential, whose ciphertext is erased before it
// returns (ErrErasing).
func (d *Directory) DeleteCredential(ctx context.Context, tenantID, provider, label string) error {
	return d.erase(ctx, d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		const replaced = "DELETE FROM replaced_credentials WHERE credential_id IN (SELECT id FROM credentials WHERE tenant_id = ? AND provider = ? AND label = ? AND deleted_at = 0)"
		if _, err := tx.ExecContext(ctx, replaced, tenantID, provider, label); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE credentials SET deleted_at = ?, sealed = '', revision = ?"+
			" WHERE tenant_id = ? AND provider = ? AND label = ? AND deleted_at = 0", now, revision, tenantID, provider, label))
	}))
}

// purge removes what ended so long ago that every replica has seen it, and
// nobody looks for it any more. Tenants stay, since their ids are never given
// out again, and so do tokens that EnsureToken could make again.
func (d *Directory) purge(ctx context.Context, now time.Time) error {
	deleted, ended := now.Add(-keepDeleted).Unix(), now.Add(-keepEnded).Unix()
	for _, p := range []struct {
		query  string
		before int64
	}{
		{"DELETE FROM credentials WHERE id IN (SELECT id FROM credentials WHERE deleted_at > 0 AND deleted_at < ?1 LIMIT ?2)", deleted},
		{"DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE revoked_at > 0 AND revoked_at < ?1 AND seeded = 0 LIMIT ?2)", ended},
		{"DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_at > 0 AND expires_at < ?1 AND seeded = 0 LIMIT ?2)", ended},
	} {
		for n := int64(purgeRows); n == purgeRows; {
			r, err := d.db.Write.ExecContext(ctx, p.query, p.before, purgeRows)
			if err != nil {
				return unavailable(err)
			}
			if n, err = r.RowsAffected(); err != nil {
				return unavailable(err)
			}
		}
	}
	return nil
}
