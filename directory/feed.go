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
)

// pull reads what is newer than the replica, in one snapshot of the database,
// and applies it. feed is held.
func (d *Directory) pull(ctx context.Context) error {
	tx, err := d.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("cannot read directory: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	var revision int64
	if err := tx.QueryRowContext(ctx, "SELECT revision FROM counter").Scan(&revision); err != nil {
		return fmt.Errorf("cannot read directory: %w", err)
	}
	if revision == d.revision {
		return nil
	}
	changes := []func(context.Context, *sql.Tx) error{d.pullTenants, d.pullCredentials, d.pullTokens}
	for _, pull := range changes {
		if err := pull(ctx, tx); err != nil {
			return fmt.Errorf("cannot read directory: %w", err)
		}
	}
	d.revision = revision
	return nil
}

// each calls scan for every row of a query for what is newer than the replica.
func (d *Directory) each(ctx context.Context, tx *sql.Tx, query string, scan func(*sql.Rows) error) (err error) {
	rows, err := tx.QueryContext(ctx, query+" WHERE revision > ? ORDER BY revision", d.revision)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *Directory) pullTenants(ctx context.Context, tx *sql.Tx) error {
	const query = "SELECT id, name, default_provider, routes, memory, limits, created_at, deleted_at, revision FROM tenants"
	return d.each(ctx, tx, query, func(rows *sql.Rows) error {
		t := &Tenant{}
		var routes, memory, limits string
		var created, deleted int64
		if err := rows.Scan(&t.ID, &t.Name, &t.DefaultProvider, &routes, &memory, &limits, &created, &deleted, &t.revision); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(routes), &t.Routes); err != nil {
			return fmt.Errorf("routes of tenant %s: %w", t.ID, err)
		}
		if err := json.Unmarshal([]byte(memory), &t.Memory); err != nil {
			return fmt.Errorf("memory settings of tenant %s: %w", t.ID, err)
		}
		if err := json.Unmarshal([]byte(limits), &t.Limits); err != nil {
			return fmt.Errorf("limits of tenant %s: %w", t.ID, err)
		}
		t.CreatedAt = fromUnix(created)
		held, ok := d.tenants.Load(t.ID)
		switch {
		case deleted > 0:
			d.tenants.Delete(t.ID)
		case !ok:
			d.tenants.Store(t.ID, t)
		case held.revision < t.revision:
			t.credentials = held.credentials
			d.tenants.Store(t.ID, t)
		}
		return nil
	})
}

func (d *Directory) pullCredentials(ctx context.Context, tx *sql.Tx) error {
	const query = "SELECT id, tenant_id, provider, label, base_url, host, organization, project, sealed, fingerprint, key_version, keyring," +
		" created_at, updated_at, deleted_at, revision FROM credentials"
	return d.each(ctx, tx, query, func(rows *sql.Rows) error {
		c := &Credential{}
		var created, updated, deleted int64
		if err := rows.Scan(&c.ID, &c.TenantID, &c.Provider, &c.Label, &c.BaseURL, &c.Host, &c.Organization, &c.Project, &c.Sealed,
			&c.Fingerprint, &c.KeyVersion, &c.Keyring, &created, &updated, &deleted, &c.Generation); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = fromUnix(created), fromUnix(updated)
		if t, ok := d.tenants.Load(c.TenantID); ok {
			d.tenants.Store(t.ID, t.with(c, deleted > 0))
		}
		return nil
	})
}

// with gives the tenant with one credential changed or gone.
func (t *Tenant) with(c *Credential, gone bool) *Tenant {
	next := *t
	next.credentials = slices.Clone(t.credentials)
	i := slices.IndexFunc(next.credentials, func(held *Credential) bool { return held.ID == c.ID })
	switch {
	case i >= 0 && next.credentials[i].Generation >= c.Generation:
		return t
	case i >= 0 && gone:
		next.credentials = slices.Delete(next.credentials, i, i+1)
	case i >= 0:
		next.credentials[i] = c
	case !gone:
		next.credentials = append(next.credentials, c)
	}
	slices.SortFunc(next.credentials, func(a, b *Credential) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Label, b.Label))
	})
	return &next
}

const tokenColumns = "id, tenant_id, label, digest, scopes, models, endpoints, credentials, buckets, memory, bucket, limits," +
	" stopped_at, stop_reason, created_at, expires_at, revoked_at, revision"

// scanToken reads a row of tokenColumns.
func scanToken(scan func(...any) error) (*Token, error) {
	t := &Token{}
	var digest []byte
	var scopes, models, endpoints, credentials, buckets, limits string
	var stopped, created, expires, revoked int64
	if err := scan(&t.ID, &t.TenantID, &t.Label, &digest, &scopes, &models, &endpoints, &credentials, &buckets, &t.Memory, &t.Bucket, &limits,
		&stopped, &t.StopReason, &created, &expires, &revoked, &t.revision); err != nil {
		return nil, err
	}
	if err := errors.Join(t.readLists(scopes, models, endpoints, credentials, buckets), json.Unmarshal([]byte(limits), &t.Limits)); err != nil {
		return nil, fmt.Errorf("lists or limits of token %s: %w", t.ID, err)
	}
	copy(t.digest[:], digest)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.StoppedAt = fromUnix(created), fromUnix(expires), fromUnix(revoked), fromUnix(stopped)
	return t, nil
}

func (d *Directory) pullTokens(ctx context.Context, tx *sql.Tx) error {
	return d.each(ctx, tx, "SELECT "+tokenColumns+" FROM tokens", func(rows *sql.Rows) error {
		t, err := scanToken(rows.Scan)
		if err != nil {
			return err
		}
		t.ofProvider = d.ofProvider(t.Models)
		var id tokenID
		copy(id[:], t.ID)
		if held, ok := d.tokens.Load(id); !ok || held.revision < t.revision {
			d.tokens.Store(id, t)
		}
		return nil
	})
}

// fromUnix reads a time; 0 is none.
func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
