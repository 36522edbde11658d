package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

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

const selectTenantPage = "SELECT " + tenantColumns + " FROM tenants WHERE deleted_at = 0 AND id > ? ORDER BY id LIMIT ?"

// TenantPage gives at most limit tenants behind an id, by id, without their
// credentials. It asks the database, whose index has them in this order.
func (d *Directory) TenantPage(ctx context.Context, after string, limit int) (page []*Tenant, err error) {
	err = d.rows(ctx, selectTenantPage, []any{after, limit}, func(scan func(...any) error) error {
		t, _, err := scanTenant(scan)
		page = append(page, t)
		return err
	})
	return page, err
}

// TokenPlace is a place in the list of a tenant's tokens.
type TokenPlace struct {
	CreatedAt time.Time
	ID        string
}

const selectTokenPage = "SELECT " + tokenColumns + " FROM tokens WHERE tenant_id = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?"

// Tokens gives at most limit of a tenant's tokens behind a place, oldest first,
// with those that were revoked or have expired in the last 90 days. It asks the
// database.
func (d *Directory) Tokens(ctx context.Context, tenantID string, after TokenPlace, limit int) (page []*Token, err error) {
	if _, err := d.Tenant(tenantID); err != nil {
		return nil, err
	}
	err = d.rows(ctx, selectTokenPage, []any{tenantID, toUnix(after.CreatedAt), after.ID, limit}, func(scan func(...any) error) error {
		t, err := scanToken(scan)
		page = append(page, t)
		return err
	})
	return page, err
}

// The plus keeps SQLite from reading all tokens of the tenant.
const selectTokenLabels = "SELECT id, label FROM tokens WHERE +tenant_id = ? AND id IN (SELECT value FROM json_each(?))"

// TokenLabels gives the labels of those of a tenant's tokens that have one of
// the ids.
func (d *Directory) TokenLabels(ctx context.Context, tenantID string, ids []string) (labels map[string]string, err error) {
	labels = make(map[string]string, len(ids))
	err = d.rows(ctx, selectTokenLabels, []any{tenantID, encode(ids)}, func(scan func(...any) error) error {
		var id, label string
		err := scan(&id, &label)
		labels[id] = label
		return err
	})
	return labels, err
}

// rows calls each for the rows of a query.
func (d *Directory) rows(ctx context.Context, query string, bound []any, each func(scan func(...any) error) error) (err error) {
	rows, err := d.db.Read.QueryContext(ctx, query, bound...)
	if err != nil {
		return unavailable(err)
	}
	defer func() {
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			err = unavailable(err)
		}
	}()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return nil
}

// Credentials lists a tenant's credentials by provider and label.
func (d *Directory) Credentials(tenantID string) ([]*Credential, error) {
	t, err := d.Tenant(tenantID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(t.credentials), nil
}
