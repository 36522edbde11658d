package directory

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.As(err, &invalid) {
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
	Limits          *Limits
}

// UpdateTenant changes a tenant.
func (d *Directory) UpdateTenant(ctx context.Context, id string, c TenantChange) (*Tenant, error) {
	if err := d.checkProviders(&c); err != nil {
		return nil, err
	}
	t, err := d.Tenant(id)
	if err != nil {
		return nil, err
	}
	next := *t
	if c.Name != nil {
		next.Name = *c.Name
	}
	if c.DefaultProvider != nil {
		next.DefaultProvider = *c.DefaultProvider
		if next.DefaultProvider != "" {
			if err := check("default_provider", next.DefaultProvider, providerName); err != nil {
				return nil, err
			}
		}
	}
	if c.Routes != nil {
		next.Routes = *c.Routes
	}
	if err := checkRoutes(next.Routes); err != nil {
		return nil, err
	}
	if err := c.Memory.applyTo(&next.Memory); err != nil {
		return nil, err
	}
	if c.Limits != nil {
		next.Limits = *c.Limits
	}
	if err := next.Limits.check(); err != nil {
		return nil, err
	}
	err = d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		return one(tx.ExecContext(ctx, "UPDATE tenants SET name = ?, default_provider = ?, routes = ?, memory = ?, limits = ?, revision = ?"+
			" WHERE id = ? AND deleted_at = 0",
			next.Name, next.DefaultProvider, encode(next.Routes), next.Memory.text(), next.Limits.text(), revision, id))
	})
	if err != nil {
		return nil, err
	}
	return d.Tenant(id)
}

// DeleteTenant ends a tenant with its tokens and credentials; ciphertexts are
// overwritten. With shred it is noted that the tenant's key is to be destroyed
// (PendingShreds).
func (d *Directory) DeleteTenant(ctx context.Context, id string, shred bool) error {
	return d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
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
	})
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

// PutCredential stores a sealed credential under the id that CredentialID
// gave, in place of the one that is there, which is kept to go back to.
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
		if err := keepReplaced(ctx, tx, &c, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO credentials (id, tenant_id, provider, label, base_url, host, organization, project, sealed,"+
			" fingerprint, key_version, keyring, created_at, updated_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (id) DO UPDATE SET base_url = excluded.base_url, host = excluded.host, organization = excluded.organization,"+
			" project = excluded.project, sealed = excluded.sealed, fingerprint = excluded.fingerprint, key_version = excluded.key_version,"+
			" keyring = excluded.keyring,"+
			" updated_at = excluded.updated_at, revision = excluded.revision WHERE deleted_at = 0",
			c.ID, c.TenantID, c.Provider, c.Label, c.BaseURL, c.Host, c.Organization, c.Project, c.Sealed, c.Fingerprint, c.KeyVersion, c.Keyring, now, now, revision)
		return err
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

// DeleteCredential ends a credential; its ciphertext is overwritten.
func (d *Directory) DeleteCredential(ctx context.Context, tenantID, provider, label string) error {
	return d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		const replaced = "DELETE FROM replaced_credentials WHERE credential_id IN (SELECT id FROM credentials WHERE tenant_id = ? AND provider = ? AND label = ? AND deleted_at = 0)"
		if _, err := tx.ExecContext(ctx, replaced, tenantID, provider, label); err != nil {
			return err
		}
		return one(tx.ExecContext(ctx, "UPDATE credentials SET deleted_at = ?, sealed = '', revision = ?"+
			" WHERE tenant_id = ? AND provider = ? AND label = ? AND deleted_at = 0", now, revision, tenantID, provider, label))
	})
}

// purge removes credentials that were deleted so long ago that every replica
// has seen it. Tenants stay, since their ids are never given out again, and so
// do revoked tokens: EnsureToken could make the same one again.
func (d *Directory) purge(ctx context.Context) error {
	before := time.Now().Add(-keepDeleted).Unix()
	if _, err := d.db.Write.ExecContext(ctx, "DELETE FROM credentials WHERE deleted_at > 0 AND deleted_at < ?", before); err != nil {
		return unavailable(err)
	}
	return nil
}

// Tenant gives a tenant by its id.
func (d *Directory) Tenant(id string) (*Tenant, error) {
	if t, ok := d.tenants.Load(id); ok {
		return t, nil
	}
	return nil, fmt.Errorf("tenant %w", ErrNotFound)
}

// Tenants lists all tenants by id.
func (d *Directory) Tenants() []*Tenant {
	var all []*Tenant
	d.tenants.Range(func(_ string, t *Tenant) bool {
		all = append(all, t)
		return true
	})
	slices.SortFunc(all, func(a, b *Tenant) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Tokens lists a tenant's tokens, oldest first, with those revoked.
func (d *Directory) Tokens(tenantID string) ([]*Token, error) {
	if _, err := d.Tenant(tenantID); err != nil {
		return nil, err
	}
	var all []*Token
	d.tokens.Range(func(_ tokenID, t *Token) bool {
		if t.TenantID == tenantID {
			all = append(all, t)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *Token) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// Credentials lists a tenant's credentials by provider and label.
func (d *Directory) Credentials(tenantID string) ([]*Credential, error) {
	t, err := d.Tenant(tenantID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(t.credentials), nil
}
