package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/rs/zerolog"
)

// books is the meter: the ledger that requests write to, and the store that its
// rows are carried to.
type books struct {
	app     *app
	journal *meter.Journal
	usage   *db.DB
	store   store
	drain   *drain.Drain
}

// store is what the questions are asked of.
type store interface {
	drain.Sink
	admin.Books
	invoice.Events
}

// openBooks opens the meter. lines gets every row as a JSON line at levels that
// show them.
func openBooks(ctx context.Context, a *app, lines io.Writer) (b *books, err error) {
	b = &books{app: a}
	m := &a.cfg.Meter
	interval := m.FsyncInterval
	if interval == 0 {
		interval = -1
	}
	if b.journal, err = meter.OpenJournal(meter.JournalOptions{
		Dir: filepath.Join(a.cfg.Data, ledgerDir), MaxBytes: m.MaxBytes / 2, SyncInterval: interval, Alarm: b.alarm,
	}); err != nil {
		return b, err
	}
	if b.usage, err = db.Open(ctx, filepath.Join(a.cfg.Data, usageFile)); err != nil {
		return b, err
	}
	store, err := sqlite.Open(ctx, b.usage)
	if err != nil {
		return b, err
	}
	if a.log.GetLevel() > zerolog.InfoLevel {
		lines = nil
	}
	b.store = store
	if b.drain, err = drain.Start(ctx, drain.Options{Journal: b.journal, Sink: store, Log: a.log, Lines: lines}); err != nil {
		return b, err
	}
	b.observe()
	return b, nil
}

// observe publishes the ledger's state.
func (b *books) observe() {
	gauge := func(name string, f func() float64) { b.app.metrics.NewGauge(name, f) }
	gauge("ownkey_ledger_bytes", func() float64 { held, _ := b.journal.Bytes(); return float64(held) })
	gauge("ownkey_ledger_max_bytes", func() float64 { _, most := b.journal.Bytes(); return float64(most) })
	gauge("ownkey_ledger_refused_requests", func() float64 { return float64(b.journal.Refused()) })
	gauge("ownkey_sink_rows", func() float64 { return float64(b.drain.Taken()) })
	gauge("ownkey_sink_lag_seconds", func() float64 { return b.drain.Lag().Seconds() })
}

// alarm tells the operator what the ledger has found.
func (b *books) alarm(t ledger.Trouble) {
	b.app.metrics.GetOrCreateCounter(`ownkey_ledger_trouble_total{what="` + t.What + `"}`).Inc()
	b.app.log.Error().Err(t.Err).Str("what", t.What).Str("file", t.File).Int64("offset", t.Offset).Int64("bytes", t.Bytes).
		Str("kept", t.Kept).Msg("trouble with the ledger of records")
}

// unseal records an unseal before Vault is asked.
func (b *books) unseal(u vaultbridge.Unsealing) {
	err := b.journal.Unseal(&meter.Unseal{
		EventID: meter.NewEventID(), ID: u.ID, At: u.At, TenantID: u.Tenant, CredentialID: u.CredentialID, Keyring: u.Keyring, Hedge: u.Hedge,
	})
	if err != nil {
		b.app.log.Error().Err(err).Str("unseal", u.ID).Msg("record of unseal is not in the ledger")
	}
}

// flushTime bounds how long a question waits for the newest rows.
const flushTime = 2 * time.Second

// flush brings the store up to date, for a question.
func (b *books) flush(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, flushTime)
	defer done()
	return b.drain.Flush(ctx)
}

// closeTime bounds how long rows may take to their store at the end. What is
// left waits in the ledger.
const closeTime = 5 * time.Second

func (b *books) close(ctx context.Context) error {
	var errs []error
	if b.drain != nil {
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		if err := b.drain.Flush(ctx); err != nil {
			b.app.log.Warn().Err(err).Msg("stopping with records in the ledger; the next start hands them on")
		}
		done()
		b.drain.Close()
	}
	if b.usage != nil {
		errs = append(errs, b.usage.Close())
	}
	if b.journal != nil {
		errs = append(errs, b.journal.Shut())
	}
	return errors.Join(errs...)
}
