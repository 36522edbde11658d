package invoice

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ownkey/ownkey/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// store keeps closed invoices.
type store struct{ db *db.DB }

func openStore(ctx context.Context, database *db.DB) (*store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("cannot read migrations: %w", err)
	}
	if err := database.Migrate(ctx, files, "invoice_migrations"); err != nil {
		return nil, err
	}
	return &store{database}, nil
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// load gives a closed invoice with every form of it; nil for none.
func (s *store) load(ctx context.Context, tenant string, month Month) (*Document, error) {
	forms := [4][]byte{}
	err := s.db.Read.QueryRowContext(ctx, "SELECT json, text, csv, html FROM invoices WHERE tenant_id = ? AND month = ?", tenant, month.String()).
		Scan(&forms[0], &forms[1], &forms[2], &forms[3])
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	d, err := open(forms[0])
	if err != nil {
		return nil, err
	}
	d.rendered = map[Format][]byte{JSON: forms[0], Text: forms[1], CSV: forms[2], HTML: forms[3]}
	return d, nil
}

// all gives a tenant's closed invoices in the order of months.
func (s *store) all(ctx context.Context, tenant string) (all []*Document, err error) {
	rows, err := s.db.Read.QueryContext(ctx, "SELECT json FROM invoices WHERE tenant_id = ? ORDER BY month", tenant)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var stored []byte
		if err := rows.Scan(&stored); err != nil {
			return nil, unavailable(err)
		}
		d, err := open(stored)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return all, nil
}

// known is what an account had closed when something was computed from it.
type known struct {
	n    int
	last Month
}

// add stores a closed invoice and the states that were read for it, if the
// tenant still has the known closed invoices and none for this month: what d
// adjusts follows from those. Otherwise nothing is stored; another process was
// faster.
func (s *store) add(ctx context.Context, d *Document, states map[Month]*state, k known) (err error) {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	result, err := tx.ExecContext(ctx,
		"INSERT INTO invoices (tenant_id, month, closed_at, json, text, csv, html) SELECT ?, ?, ?, ?, ?, ?, ?"+
			" WHERE (SELECT COUNT(*) FROM invoices WHERE tenant_id = ?) = ? ON CONFLICT DO NOTHING",
		d.Tenant, d.Month.String(), d.ClosedAt.UnixMicro(), d.rendered[JSON], d.rendered[Text], d.rendered[CSV], d.rendered[HTML], d.Tenant, k.n)
	if err != nil {
		return unavailable(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if d.Month.Before(k.last) {
		// States hold as of the last month's watermark, which this one's is not.
		_, err = tx.ExecContext(ctx, "DELETE FROM invoice_states WHERE tenant_id = ?", d.Tenant)
	} else {
		err = putStates(ctx, tx, d.Tenant, states)
	}
	if err != nil {
		return unavailable(err)
	}
	if err := tx.Commit(); err != nil {
		return unavailable(err)
	}
	return nil
}

func putStates(ctx context.Context, tx *sql.Tx, tenant string, states map[Month]*state) error {
	for month, state := range states {
		encoded, err := json.Marshal(state)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO invoice_states (tenant_id, month, state) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
			tenant, month.String(), encoded)
		if err != nil {
			return err
		}
	}
	return nil
}

// state gives the state at the end of a month; nil for none, or for one that
// this program cannot go on from.
func (s *store) state(ctx context.Context, tenant string, month Month) (*state, error) {
	var stored []byte
	err := s.db.Read.QueryRowContext(ctx, "SELECT state FROM invoice_states WHERE tenant_id = ? AND month = ?", tenant, month.String()).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	found := &state{}
	if err := json.Unmarshal(stored, found); err == nil && found.readable() {
		return found, nil
	}
	return nil, nil
}

// addState stores a state, if the tenant still has n closed invoices.
func (s *store) addState(ctx context.Context, tenant string, month Month, state *state, n int) error {
	encoded, err := json.Marshal(state)
	if err != nil {
		return err
	}
	_, err = s.db.Write.ExecContext(ctx, "INSERT INTO invoice_states (tenant_id, month, state) SELECT ?, ?, ?"+
		" WHERE (SELECT COUNT(*) FROM invoices WHERE tenant_id = ?) = ? ON CONFLICT DO UPDATE SET state = excluded.state",
		tenant, month.String(), encoded, tenant, n)
	if err != nil {
		return unavailable(err)
	}
	return nil
}
