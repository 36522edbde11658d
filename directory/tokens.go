package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CreateToken makes a token and gives it in plain, once.
func (d *Directory) CreateToken(ctx context.Context, tenantID string, n NewToken) (plain string, t *Token, err error) {
	plain, err = mint(randomness)
	if err != nil {
		return "", nil, err
	}
	return d.insertToken(ctx, tenantID, plain, n, false)
}

// EnsureToken gives the token that belongs to a seed of TokenSeedBytes
// pseudo-random bytes, and stores its digest if it is not there yet. A token
// that was revoked stays so: ErrInvalidToken.
func (d *Directory) EnsureToken(ctx context.Context, tenantID string, seed []byte, n NewToken) (plain string, t *Token, err error) {
	plain, err = mint(bytes.NewReader(seed))
	if err != nil {
		return "", nil, err
	}
	id, _ := idOf([]byte(plain))
	held, err := d.stored(ctx, string(id[:]))
	if errors.Is(err, ErrNotFound) {
		return d.insertToken(ctx, tenantID, plain, n, true)
	}
	if err != nil {
		return "", nil, err
	}
	if held.TenantID != tenantID || held.ended(time.Now()) {
		return "", nil, ErrInvalidToken
	}
	return plain, held, nil
}

func (d *Directory) insertToken(ctx context.Context, tenantID, plain string, n NewToken, seeded bool) (string, *Token, error) {
	if _, err := d.Tenant(tenantID); err != nil {
		return "", nil, err
	}
	t, err := n.token(time.Now())
	if err != nil {
		return "", nil, err
	}
	id, _ := idOf([]byte(plain))
	digest := sha256.Sum256([]byte(plain))
	err = d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		if err := liveTenant(ctx, tx, tenantID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO tokens (id, tenant_id, label, digest, scopes, models, endpoints, credentials, allow_from, buckets, memory, memory_ttl, bucket, limits,"+
			" created_at, expires_at, seeded, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			string(id[:]), tenantID, t.Label, digest[:], encode(t.Scopes), encode(t.Models), encode(t.Endpoints), encode(t.Credentials), encode(t.AllowFrom), t.Buckets.text(),
			t.Memory, secondsOf(t.MemoryTTL), t.Bucket, t.Limits.text(), now, toUnix(t.ExpiresAt), seeded, revision)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	t, _ = d.tokens.Load(id)
	return plain, t, nil
}

// RevokeToken ends a token. It can not be undone.
func (d *Directory) RevokeToken(ctx context.Context, tenantID, id string) error {
	return d.write(ctx, func(tx *sql.Tx, revision, now int64) error {
		return one(tx.ExecContext(ctx, "UPDATE tokens SET revoked_at = ?, revision = ? WHERE id = ? AND tenant_id = ? AND revoked_at = 0", now, revision, id, tenantID))
	})
}

// TokenChange is what can change of a token; nil stays.
type TokenChange struct {
	Scopes      *[]string
	Models      *[]string
	Endpoints   *[]string
	Credentials *[]string
	AllowFrom   *[]string
	Memory      *string
	MemoryTTL   *string  // as retention.Parse reads it
	Bucket      *string  // as in NewToken
	Buckets     *Buckets // a nil list stays
	Limits      *LimitsChange
}

func (c *TokenChange) applyTo(t *Token) error {
	for _, l := range []struct{ from, to *[]string }{
		{c.Scopes, &t.Scopes}, {c.Models, &t.Models}, {c.Endpoints, &t.Endpoints}, {c.Credentials, &t.Credentials}, {c.AllowFrom, &t.AllowFrom},
	} {
		if l.from != nil {
			*l.to = *l.from
		}
	}
	if c.Memory != nil {
		t.Memory = *c.Memory
	}
	if c.MemoryTTL != nil {
		ttl, err := memoryTTL(*c.MemoryTTL)
		if err != nil {
			return err
		}
		t.MemoryTTL = ttl
	}
	if err := c.confine(t); err != nil {
		return err
	}
	return errors.Join(c.Limits.applyTo(&t.Limits), t.check())
}

// confine changes what buckets a token may use.
func (c *TokenChange) confine(t *Token) error {
	switch {
	case c.Bucket != nil:
		return t.confine(*c.Bucket, c.Buckets)
	case c.Buckets == nil:
		return nil
	}
	lists, bucket := *c.Buckets, t.Bucket
	if !t.Unconfined {
		lists = Buckets{either(lists.Read, t.Buckets.Read), either(lists.Write, t.Buckets.Write)}
	}
	if err := t.confine("", &lists); err != nil {
		return err
	}
	if bucket != "" && (t.ReadsBucket(bucket) || t.WritesBucket(bucket)) {
		t.Bucket = bucket
	}
	return nil
}

// either gives the first list, unless it was left out.
func either(list, otherwise []string) []string {
	if list == nil {
		return otherwise
	}
	return list
}

// UpdateToken changes what a token may use. What does not change is as the
// database has it in the transaction that writes.
func (d *Directory) UpdateToken(ctx context.Context, tenantID, id string, c TokenChange) (*Token, error) {
	err := d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		t, err := scanToken(tx.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE id = ? AND tenant_id = ? AND revoked_at = 0", id, tenantID).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("token %w", ErrNotFound)
		}
		if err != nil {
			return err
		}
		if err := c.applyTo(t); err != nil {
			return err
		}
		buckets := t.Buckets.text()
		if t.Unconfined {
			buckets = ""
		}
		return one(tx.ExecContext(ctx, "UPDATE tokens SET scopes = ?, models = ?, endpoints = ?, credentials = ?, allow_from = ?, buckets = ?, memory = ?, memory_ttl = ?, bucket = ?, limits = ?,"+
			" revision = ? WHERE id = ?", encode(t.Scopes), encode(t.Models), encode(t.Endpoints), encode(t.Credentials), encode(t.AllowFrom), buckets, t.Memory, secondsOf(t.MemoryTTL), t.Bucket, t.Limits.text(),
			revision, id))
	})
	if err != nil {
		return nil, err
	}
	return d.Token(ctx, tenantID, id)
}

// StopToken refuses a token's calls until ResumeToken. reason is in words of
// ours; operators read it.
func (d *Directory) StopToken(ctx context.Context, tenantID, id, reason string) (*Token, error) {
	return d.changeToken(ctx, tenantID, id, "stopped_at = ?, stop_reason = ?", time.Now().Unix(), reason)
}

// ResumeToken lets a stopped token go on.
func (d *Directory) ResumeToken(ctx context.Context, tenantID, id string) (*Token, error) {
	return d.changeToken(ctx, tenantID, id, "stopped_at = 0, stop_reason = ''")
}

// changeToken changes columns of a token that was not revoked.
func (d *Directory) changeToken(ctx context.Context, tenantID, id, set string, values ...any) (*Token, error) {
	err := d.write(ctx, func(tx *sql.Tx, revision, _ int64) error {
		return one(tx.ExecContext(ctx, "UPDATE tokens SET "+set+", revision = ? WHERE id = ? AND tenant_id = ? AND revoked_at = 0",
			append(values, revision, id, tenantID)...))
	})
	if err != nil {
		return nil, err
	}
	return d.Token(ctx, tenantID, id)
}

// Token gives a tenant's token by its id, also one that has ended, as the
// database has it.
func (d *Directory) Token(ctx context.Context, tenantID, id string) (*Token, error) {
	t, err := d.stored(ctx, id)
	if err == nil && t.TenantID != tenantID {
		err = fmt.Errorf("token %w", ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (d *Directory) stored(ctx context.Context, id string) (*Token, error) {
	t, err := scanToken(d.db.Read.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("token %w", ErrNotFound)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return t, nil
}
