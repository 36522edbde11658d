package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// Change is what is to be different about a memory; nil leaves as it is. A
// zero time, empty facts and metadata of null remove what there is.
type Change struct {
	Content   *string
	Metadata  *json.RawMessage
	Facts     *[]string
	Pinned    *bool
	ValidFrom *time.Time
	ValidTo   *time.Time
	ExpiresAt *time.Time
}

// Bounds of one memory's history: the oldest versions are dropped first.
const (
	maxVersions     = 50
	maxHistoryBytes = 256 << 10
)

// Update changes a memory and gives it as it is then. Its former content goes
// into its history, which is bounded. For the meter it is the same memory.
func (k *Keeper) Update(ctx context.Context, who *Caller, bucket, id string, c *Change) (Memory, error) {
	b, err := k.begin(ctx, who.Tenant, bucket)
	if err != nil {
		return Memory{}, err
	}
	defer k.end(b)
	ctx = context.WithoutCancel(ctx)
	old, err := k.Get(ctx, who.Tenant, bucket, id)
	if err != nil {
		return Memory{}, err
	}
	if old.Context {
		return Memory{}, &InvalidError{"id", "must be a memory: this is a turn that states nothing, kept beside others, which can be deleted and not changed"}
	}
	m, now := old, time.Now().UTC()
	c.applyTo(&m)
	if err := m.check("", now); err != nil {
		return Memory{}, err
	}
	k.identify(who.Tenant, &m)
	if err := k.write(ctx, func(tx *sql.Tx) error { return k.saveChange(ctx, tx, &old, &m, who.Token, now) }); err != nil {
		return Memory{}, err
	}
	wake(k.wakeJobs)
	k.apply(b, func(r *resident) { r.replace(&m) })
	return m, nil
}

func (c *Change) applyTo(m *Memory) {
	if c.Content != nil {
		m.Content = *c.Content
	}
	if c.Metadata != nil {
		if m.Metadata = *c.Metadata; string(m.Metadata) == "null" {
			m.Metadata = nil
		}
	}
	if c.Facts != nil {
		m.Facts = *c.Facts
	}
	if c.Pinned != nil {
		m.Pinned = *c.Pinned
	}
	for _, t := range []struct {
		to   *time.Time
		from *time.Time
	}{{&m.ValidFrom, c.ValidFrom}, {&m.ValidTo, c.ValidTo}, {&m.ExpiresAt, c.ExpiresAt}} {
		if t.from != nil {
			*t.to = *t.from
		}
	}
}

func (k *Keeper) saveChange(ctx context.Context, tx *sql.Tx, old, m *Memory, token string, now time.Time) error {
	facts, err := factsText(m.Facts)
	if err != nil {
		return err
	}
	before, err := roomOf(ctx, tx, m.bucketID)
	if err != nil {
		return err
	}
	if m.Content != old.Content {
		m.Version++
		if _, err := tx.ExecContext(ctx, "INSERT INTO versions (seq, version, content, until) VALUES (?, ?, ?, ?)", m.seq, old.Version, old.Content, now.UnixMicro()); err != nil {
			return err
		}
		if err := trimHistory(ctx, tx, m); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM vectors WHERE seq = ?", m.seq); err != nil {
			return err
		}
		if err := k.addJobs(ctx, tx, m, token); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE memories SET content = ?, hash = ?, shape = ?, facts = ?, metadata = ?, pinned = ?, valid_from = ?, valid_to = ?, expires_at = ?, version = ?
		WHERE seq = ? AND tenant = ?`, m.Content, m.hash, m.shape, facts, string(m.Metadata), m.Pinned,
		micros(m.ValidFrom), micros(m.ValidTo), micros(m.ExpiresAt), m.Version, m.seq, m.tenant)
	if err != nil {
		return err
	}
	after, err := roomOf(ctx, tx, m.bucketID)
	if err != nil || after.tenant <= before.tenant {
		return err
	}
	return k.mayChange(&before, &after)
}

// trimHistory drops the oldest versions beyond the bounds.
func trimHistory(ctx context.Context, tx *sql.Tx, m *Memory) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM versions WHERE seq = ?1 AND (version < ?2 OR
		(SELECT sum(length(CAST(n.content AS BLOB))) FROM versions n WHERE n.seq = ?1 AND n.version >= versions.version) > ?3)`,
		m.seq, m.Version-maxVersions, maxHistoryBytes)
	return err
}
