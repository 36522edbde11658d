// Package deferred remembers work that providers go on with after the call that
// began it has ended: background responses and batches. What such work has used
// up is reported to whoever fetches its result, as often as it is fetched; the
// book makes that count once, also over restarts.
package deferred

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Bounds of what is remembered.
const (
	// keptTime is how long OpenAI keeps a response (its documentation, 2026-11).
	keptTime = 30 * 24 * time.Hour
	// mostOfTenant is how much work of one tenant may be open; the oldest is
	// forgotten, and counts as what its call has counted.
	mostOfTenant = 10_000
)

// Work names what a provider does for a tenant. ID is the provider's own.
type Work struct{ Tenant, Provider, ID string }

// Book is the list of work that is not counted yet. It is safe for concurrent
// use.
type Book struct{ db *db.DB }

// Open makes a book in a database.
func Open(ctx context.Context, database *db.DB) (*Book, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("cannot read migrations: %w", err)
	}
	if err := database.Migrate(ctx, files, "deferred_migrations"); err != nil {
		return nil, err
	}
	return &Book{database}, nil
}

// Start remembers that work has begun. counted is how many tokens the call that
// began it has counted for limits. What was begun before stays as it is.
func (b *Book) Start(ctx context.Context, w Work, counted int64, now time.Time) error {
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot remember work of a provider: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	for _, change := range []struct {
		statement string
		args      []any
	}{
		{
			"INSERT INTO deferred_work (tenant, provider, id, counted, started_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			[]any{w.Tenant, w.Provider, w.ID, counted, now.Unix()},
		},
		{"DELETE FROM deferred_work WHERE started_at < ?", []any{now.Add(-keptTime).Unix()}},
		{`DELETE FROM deferred_work WHERE tenant = ?1 AND (provider, id) IN
			(SELECT provider, id FROM deferred_work WHERE tenant = ?1 ORDER BY started_at DESC LIMIT -1 OFFSET ?2)`, []any{w.Tenant, mostOfTenant}},
	} {
		if _, err := tx.ExecContext(ctx, change.statement, change.args...); err != nil {
			return fmt.Errorf("cannot remember work of a provider: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("cannot remember work of a provider: %w", err)
	}
	return nil
}

// Progress reports whether work is known that has not ended, and adds tokens to what
// was counted for it: a part of its result was read, whose count nobody tells.
func (b *Book) Progress(ctx context.Context, w Work, tokens int64) (known bool, err error) {
	err = b.db.Read.QueryRowContext(ctx, "SELECT 1 FROM deferred_work"+one, w.Tenant, w.Provider, w.ID).Scan(&known)
	if err == nil {
		err = b.db.Write.QueryRowContext(ctx, "UPDATE deferred_work SET counted = counted + ?"+one+" RETURNING 1", tokens, w.Tenant, w.Provider, w.ID).Scan(&known)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("cannot change work of a provider: %w", err)
	}
	return true, nil
}

// one finds a piece of work.
const one = " WHERE tenant = ? AND provider = ? AND id = ?"

// Finish reports whether work that has ended is to be counted now, and how many
// tokens were counted before. Of all calls for the same work one is
// answered with true.
func (b *Book) Finish(ctx context.Context, w Work) (counted int64, first bool, err error) {
	// Most results that are fetched were counted, or are not ours to count: they
	// wait for no other writer.
	err = b.db.Read.QueryRowContext(ctx, "SELECT counted FROM deferred_work"+one, w.Tenant, w.Provider, w.ID).Scan(&counted)
	if err == nil {
		err = b.db.Write.QueryRowContext(ctx, "DELETE FROM deferred_work"+one+" RETURNING counted", w.Tenant, w.Provider, w.ID).Scan(&counted)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("cannot read work of a provider: %w", err)
	}
	return counted, true, nil
}
