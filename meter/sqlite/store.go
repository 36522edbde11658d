// Package sqlite keeps records on one machine: the embedded sink, and its
// answers to the questions of usage, invoices and evidence. Rows, hourly sums
// and the ledger's checkpoint change in one transaction.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
)

//go:embed migrations/*.sql
var migrations embed.FS

// keep is how long requests and unseals are kept; sums and memory events are
// kept for good. ClickHouse's schema has the same time.
const keep = 400 * 24 * time.Hour

// Store is the books of one gateway. It is safe for concurrent use.
type Store struct {
	db     *db.DB
	pruned time.Time // of the sink's goroutine, like models
	models modelNames
}

// Open brings the schema in a database up to date.
func Open(ctx context.Context, d *db.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("BUG: no migrations: " + err.Error())
	}
	if err := d.Migrate(ctx, files, "meter_migrations"); err != nil {
		return nil, err
	}
	return &Store{db: d}, nil
}

// insertInto takes a row once: a second one with its event id is passed over.
func insertInto(table string, columns []string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ") ON CONFLICT DO NOTHING"
}

// Checkpoint implements drain.Sink.
func (s *Store) Checkpoint(ctx context.Context, gateway uuid.UUID) (c drain.Checkpoint, err error) {
	var text string
	err = s.db.Read.QueryRowContext(ctx, "SELECT checkpoint FROM checkpoints WHERE gateway = ?", gateway[:]).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &c)
	}
	if err != nil {
		return c, fmt.Errorf("cannot read checkpoint: %w", err)
	}
	return c, nil
}

// Take implements drain.Sink.
func (s *Store) Take(ctx context.Context, b *drain.Batch) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot keep records: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err = s.take(ctx, tx, b); err != nil {
		s.models = nil // names of a batch that is rolled back are not there
	}
	if db.Refused(err) {
		return fmt.Errorf("cannot keep records: %w: %w", drain.ErrRefused, err)
	} else if err != nil {
		return fmt.Errorf("cannot keep records: %w", err)
	}
	if err := s.prune(ctx, tx); err != nil {
		return fmt.Errorf("cannot forget old records: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("cannot keep records: %w", err)
	}
	return nil
}

func (s *Store) take(ctx context.Context, tx *sql.Tx, b *drain.Batch) error {
	var unnamed error
	sums := newRollup(func(tenant string, hour int64, model string) string {
		name, err := s.models.name(ctx, tx, tenantHour{tenant, hour}, model)
		unnamed = errors.Join(unnamed, err)
		return name
	})
	var row []byte
	encoded := func(id *uuid.UUID, tenant string, at time.Time, r meter.Row) []any {
		row = meter.Encode(row[:0], r)
		return []any{id[:], tenant, at.UnixMicro(), row}
	}
	err := insertAll(ctx, tx, &b.Pace, insertInto("requests", rowColumns), b.Requests, sums.add, func(r *meter.Record) []any {
		return encoded(&r.EventID, r.TenantID, r.Start, r)
	})
	if err == nil {
		err = unnamed
	}
	if err == nil {
		err = sums.write(ctx, tx)
	}
	if err == nil {
		err = insertAll(ctx, tx, &b.Pace, insertInto("unseals", rowColumns), b.Unseals, func(*meter.Unseal) {}, func(u *meter.Unseal) []any {
			return encoded(&u.EventID, u.TenantID, u.At, u)
		})
	}
	if err == nil {
		now := time.Now().UnixMicro()
		err = insertAll(ctx, tx, &b.Pace, insertInto("memory_events", append(slices.Clone(memoryColumns), "taken_at")), b.Memory, func(*meter.MemoryEvent) {}, func(m *meter.MemoryEvent) []any {
			var a arguments
			m.Columns(&a)
			return append(a.all, now)
		})
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(b.Checkpoint)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO checkpoints (gateway, checkpoint) VALUES (?, ?) ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint",
		b.Gateway.Gateway[:], string(text))
	return err
}

// rowColumns are those of requests and unseals.
var rowColumns = []string{"event_id", "tenant", "at", "row"}

// insertAll inserts rows and calls taken for those that were not there. What
// values gives is used before it is called again.
func insertAll[R meter.Row](ctx context.Context, tx *sql.Tx, pace *pace.Pace, query string, rows []R, taken func(R), values func(R) []any) error {
	if len(rows) == 0 {
		return nil
	}
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer statement.Close() //nolint:errcheck // the transaction closes it as well
	for i, r := range rows {
		pace.Row(i)
		result, err := statement.ExecContext(ctx, values(r)...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			taken(r)
		}
	}
	return nil
}

// prune forgets what is old, once a day.
func (s *Store) prune(ctx context.Context, tx *sql.Tx) error {
	now := time.Now()
	if now.Sub(s.pruned) < 24*time.Hour {
		return nil
	}
	for _, table := range []string{"requests", "unseals"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE at < ?", now.Add(-keep).UnixMicro()); err != nil {
			return err
		}
	}
	s.pruned = now
	return nil
}

var _ drain.Sink = (*Store)(nil)
