// Package spent counts what tokens have used up, by day, for budgets.
//
// It stands between the ledger and the sink of records: each row of the ledger
// passes once, so the counts survive a kill -9 as the ledger does, and need no
// ClickHouse to be read. They are for limits, not for bills.
package spent

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Book counts rows on their way to a sink. It is used by one drain.
type Book struct {
	drain.Sink
	db   *db.DB
	last map[uuid.UUID]bool // requests of the batch that was counted last

	spare  map[uuid.UUID]bool // used and to be used again, like events
	events []byte
}

// Spent is what a token has used up on a day.
type Spent struct {
	Tenant, Token string
	Day           int64 // since 1970, in UTC
	Tokens        int64
}

// DayOf counts days since 1970, in UTC.
func DayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

// keptDays is more than a month, which the longest budget is for.
const keptDays = 40

// Open makes a book in a database, in front of a sink.
func Open(ctx context.Context, database *db.DB, sink drain.Sink) (*Book, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("cannot read migrations: %w", err)
	}
	if err := database.Migrate(ctx, files, "spent_migrations"); err != nil {
		return nil, err
	}
	b := &Book{Sink: sink, db: database, last: map[uuid.UUID]bool{}, spare: map[uuid.UUID]bool{}}
	var events []byte
	if err := database.Read.QueryRowContext(ctx, "SELECT events FROM spent_last").Scan(&events); err != nil {
		return nil, fmt.Errorf("cannot read what tokens have spent: %w", err)
	}
	for ; len(events) >= len(uuid.UUID{}); events = events[len(uuid.UUID{}):] {
		b.last[uuid.UUID(events[:len(uuid.UUID{})])] = true
	}
	// By the last row where that is earlier: a clock that is ahead forgets nothing.
	if _, err := database.Write.ExecContext(ctx, "DELETE FROM spent WHERE day < min(?, (SELECT max(day) FROM spent)) - ?", DayOf(time.Now()), keptDays); err != nil {
		return nil, fmt.Errorf("cannot forget what tokens have spent: %w", err)
	}
	return b, nil
}

// Take counts a batch, once however often it comes, and hands it on.
func (b *Book) Take(ctx context.Context, batch *drain.Batch) error {
	if err := b.count(ctx, batch); err != nil {
		return fmt.Errorf("cannot count what tokens have spent: %w", err)
	}
	return b.Sink.Take(ctx, batch)
}

func (b *Book) count(ctx context.Context, batch *drain.Batch) error {
	if len(batch.Requests) == 0 {
		return nil
	}
	sums := map[Spent]int64{}
	last, events := b.spare, b.events[:0]
	clear(last)
	fresh := false
	for i, r := range batch.Requests {
		batch.Pace.Row(i)
		last[r.EventID] = true
		events = append(events, r.EventID[:]...)
		if b.last[r.EventID] {
			continue
		}
		fresh = true
		if n := r.Tokens(); n > 0 {
			of := keyOf(r)
			sums[of] = meter.Add(sums[of], n)
		}
	}
	if !fresh {
		return nil
	}
	b.events = events
	tx, err := b.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := add(ctx, tx, sums, events); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	b.last, b.spare = last, b.last
	return nil
}

// maxInteger is SQLite's largest integer: a sum stays there instead of becoming a
// REAL, and a budget that is spent stays spent. What an older program has
// written as a REAL is cast when it is read.
const maxInteger = "9223372036854775807"

func add(ctx context.Context, tx *sql.Tx, sums map[Spent]int64, events []byte) error {
	for of, n := range sums {
		_, err := tx.ExecContext(ctx, "INSERT INTO spent (tenant, token, day, tokens) VALUES (?, ?, ?, ?)"+
			" ON CONFLICT DO UPDATE SET tokens = min("+maxInteger+", tokens + excluded.tokens)", of.Tenant, of.Token, of.Day, n)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "UPDATE spent_last SET events = ?", events)
	return err
}

// Since gives what was spent on a day and after it.
func (b *Book) Since(ctx context.Context, day int64) (all []Spent, err error) {
	rows, err := b.db.Read.QueryContext(ctx, "SELECT tenant, token, day, CAST(tokens AS INTEGER) FROM spent WHERE day >= ?", day)
	if err != nil {
		return nil, fmt.Errorf("cannot read what tokens have spent: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Spent
		if err := rows.Scan(&s.Tenant, &s.Token, &s.Day, &s.Tokens); err != nil {
			return nil, fmt.Errorf("cannot read what tokens have spent: %w", err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
