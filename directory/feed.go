package directory

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/internal/retention"
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
		if d.pulled++; d.pulled%beatRows == 0 {
			d.beat()
		}
	}
	return rows.Err()
}

const tenantColumns = "id, name, default_provider, routes, memory, limits, created_at, suspended_at, deleted_at, revision"

// scanTenant reads a row of tenantColumns.
func scanTenant(scan func(...any) error) (t *Tenant, deleted bool, err error) {
	t = &Tenant{}
	var routes, memory, limits string
	var created, suspended, ended int64
	if err := scan(&t.ID, &t.Name, &t.DefaultProvider, &routes, &memory, &limits, &created, &suspended, &ended, &t.revision); err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal([]byte(routes), &t.Routes); err != nil {
		return nil, false, fmt.Errorf("routes of tenant %s: %w", t.ID, err)
	}
	if err := json.Unmarshal([]byte(memory), &t.Memory); err != nil {
		return nil, false, fmt.Errorf("memory settings of tenant %s: %w", t.ID, err)
	}
	if err := json.Unmarshal([]byte(limits), &t.Limits); err != nil {
		return nil, false, fmt.Errorf("limits of tenant %s: %w", t.ID, err)
	}
	t.CreatedAt, t.SuspendedAt = fromUnix(created), fromUnix(suspended)
	return t, ended > 0, nil
}

func (d *Directory) pullTenants(ctx context.Context, tx *sql.Tx) error {
	return d.each(ctx, tx, "SELECT "+tenantColumns+" FROM tenants", func(rows *sql.Rows) error {
		t, deleted, err := scanTenant(rows.Scan)
		if err != nil {
			return err
		}
		held, ok := d.tenants.Load(t.ID)
		switch {
		case deleted:
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
	const query = "SELECT id, tenant_id, provider, label, base_url, host, organization, project, sealed, fingerprint, key_version, keyring, address, key_name," +
		" created_at, updated_at, deleted_at, revision FROM credentials"
	changed := map[string][]*credentialChange{}
	err := d.each(ctx, tx, query, func(rows *sql.Rows) error {
		c := &credentialChange{}
		var created, updated, deleted int64
		if err := rows.Scan(&c.ID, &c.TenantID, &c.Provider, &c.Label, &c.BaseURL, &c.Host, &c.Organization, &c.Project, &c.Sealed,
			&c.Fingerprint, &c.KeyVersion, &c.Keyring, &c.Address, &c.Key, &created, &updated, &deleted, &c.Generation); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt, c.gone = fromUnix(created), fromUnix(updated), deleted > 0
		changed[c.TenantID] = append(changed[c.TenantID], c)
		return nil
	})
	if err != nil {
		return err
	}
	for id, changes := range changed {
		if t, ok := d.tenants.Load(id); ok {
			d.tenants.Store(id, t.with(changes))
		}
	}
	return nil
}

// credentialChange is a credential as it is from now on, or gone.
type credentialChange struct {
	Credential
	gone bool
}

// with gives the tenant with credentials changed or gone.
func (t *Tenant) with(changes []*credentialChange) *Tenant {
	held := make(map[string]*Credential, len(t.credentials)+len(changes))
	for _, c := range t.credentials {
		held[c.ID] = c
	}
	for _, c := range changes {
		switch h := held[c.ID]; {
		case h != nil && h.Generation >= c.Generation:
		case c.gone:
			delete(held, c.ID)
		default:
			held[c.ID] = &c.Credential
		}
	}
	next := *t
	next.credentials = slices.SortedFunc(maps.Values(held), func(a, b *Credential) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Label, b.Label))
	})
	return &next
}

const tokenColumns = "id, tenant_id, label, digest, scopes, models, endpoints, credentials, allow_from, buckets, memory, memory_ttl, bucket, limits," +
	" stopped_at, stop_reason, created_at, expires_at, revoked_at, revision"

// scanToken reads a row of tokenColumns.
func scanToken(scan func(...any) error) (*Token, error) {
	t := &Token{}
	var digest []byte
	var scopes, models, endpoints, credentials, from, buckets, limits string
	var stopped, created, expires, revoked, ttl int64
	if err := scan(&t.ID, &t.TenantID, &t.Label, &digest, &scopes, &models, &endpoints, &credentials, &from, &buckets, &t.Memory, &ttl, &t.Bucket, &limits,
		&stopped, &t.StopReason, &created, &expires, &revoked, &t.revision); err != nil {
		return nil, err
	}
	err := errors.Join(t.readLists(scopes, models, endpoints, credentials, from, buckets), json.Unmarshal([]byte(limits), &t.Limits))
	if err != nil {
		return nil, fmt.Errorf("lists or limits of token %s: %w", t.ID, err)
	}
	if t.MemoryTTL = time.Duration(ttl) * time.Second; ttl < 0 {
		t.MemoryTTL = retention.Never
	}
	copy(t.digest[:], digest)
	var bad int
	if t.origins, bad = origin.ParseAll(t.AllowFrom); bad >= 0 { // it must not be allowed more by it
		return nil, fmt.Errorf("allow_from of token %s: %w", t.ID, &InvalidError{"allow_from", originRule})
	}
	t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.StoppedAt = fromUnix(created), fromUnix(expires), fromUnix(revoked), fromUnix(stopped)
	return t, nil
}

func (d *Directory) pullTokens(ctx context.Context, tx *sql.Tx) error {
	now := time.Now()
	return d.each(ctx, tx, "SELECT "+tokenColumns+" FROM tokens", func(rows *sql.Rows) error {
		t, err := scanToken(rows.Scan)
		if err != nil {
			return err
		}
		t.ofProvider = d.ofProvider(t.Models)
		var id tokenID
		copy(id[:], t.ID)
		held, ok := d.tokens.Load(id)
		switch {
		case ok && held.revision >= t.revision:
		case t.forgotten(now):
			d.tokens.Delete(id)
		default:
			d.tokens.Store(id, t)
		}
		return nil
	})
}

// ended reports whether a token can never be used again.
func (t *Token) ended(now time.Time) bool {
	return !t.RevokedAt.IsZero() || !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// forgotten reports whether a token that has ended is not even looked for any
// more: an expired one is, by the streams that it has begun (Revoked).
func (t *Token) forgotten(now time.Time) bool { return t.ended(now) && t.ended(now.Add(-keepExpired)) }

// forgetExpired drops what has expired since it was read.
func (d *Directory) forgetExpired(now time.Time) {
	d.feed.Lock()
	defer d.feed.Unlock()
	d.tokens.Range(func(id tokenID, t *Token) bool {
		if t.forgotten(now) {
			d.tokens.Delete(id)
		}
		return true
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
