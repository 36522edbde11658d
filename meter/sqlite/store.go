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
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
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
	// asking has a place for each question that is answered now: half of the
	// processors are for calls.
	asking chan struct{}
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
	return &Store{db: d, asking: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}, nil
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
	err := s.takeBy(ctx, b, together)
	if errors.Is(err, errThere) {
		err = s.takeBy(ctx, b, 1)
	}
	return err
}

// takeBy takes a batch with so many rows a statement.
func (s *Store) takeBy(ctx context.Context, b *drain.Batch, rows int) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot keep records: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err = s.take(ctx, tx, b, rows); err != nil {
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

func (s *Store) take(ctx context.Context, tx *sql.Tx, b *drain.Batch, rows int) error {
	var unnamed error
	sums := newRollup(func(tenant string, hour int64, model string) string {
		name, err := s.models.name(ctx, tx, tenantHour{tenant, hour}, model)
		unnamed = errors.Join(unnamed, err)
		return name
	})
	var texts encodings
	err := insertAll(ctx, tx, &b.Pace, inserter{"requests", rowColumns, rows}, b.Requests, sums.add, func(values []any, r *meter.Record) []any {
		return append(values, r.EventID[:], r.TenantID, r.Start.UnixMicro(), texts.of(r))
	})
	if err == nil {
		err = unnamed
	}
	if err == nil {
		err = sums.write(ctx, tx)
	}
	if err == nil {
		err = insertAll(ctx, tx, &b.Pace, inserter{"unseals", rowColumns, rows}, b.Unseals, func(*meter.Unseal) {}, func(values []any, u *meter.Unseal) []any {
			return append(values, u.EventID[:], u.TenantID, u.At.UnixMicro(), texts.of(u))
		})
	}
	if err == nil {
		now := time.Now().UnixMicro()
		events := inserter{"memory_events", append(slices.Clone(memoryColumns), "taken_at"), rows}
		err = insertAll(ctx, tx, &b.Pace, events, b.Memory, func(*meter.MemoryEvent) {}, func(values []any, m *meter.MemoryEvent) []any {
			a := arguments{values}
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
