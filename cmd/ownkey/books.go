package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/clickhouse"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/rs/zerolog"
)

// books is the meter: the ledger that requests write to, and the store that its
// rows are carried to.
type books struct {
	app     *app
	journal *meter.Journal
	usage   *db.DB            // of SQLite
	remote  *clickhouse.Store // in place of SQLite
	store   store
	spent   *spent.Book // between the ledger and the store
	drain   *drain.Drain
}

// store is what the questions are asked of.
type store interface {
	drain.Sink
	admin.Books
	admin.EvidenceBooks
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
	if m.ClickHouse.URL == "" {
		err = b.openSQLite(ctx)
	} else {
		err = b.openClickHouse(ctx)
	}
	if err != nil {
		return b, err
	}
	if a.log.GetLevel() > zerolog.InfoLevel {
		lines = nil
	}
	if b.spent, err = spent.Open(ctx, a.database, b.store); err != nil {
		return b, err
	}
	if b.drain, err = drain.Start(ctx, drain.Options{Journal: b.journal, Sink: b.spent, Log: a.log, Lines: lines, Interval: b.interval()}); err != nil {
		return b, err
	}
	b.observe()
	return b, nil
}

// interval is how long rows wait for others. ClickHouse wants few insertions:
// one a second of each gateway.
func (b *books) interval() time.Duration {
	if b.remote != nil {
		return time.Second
	}
	return 500 * time.Millisecond
}

func (b *books) openSQLite(ctx context.Context) (err error) {
	if b.usage, err = db.Open(ctx, filepath.Join(b.app.cfg.Data, usageFile)); err != nil {
		return err
	}
	b.store, err = sqlite.Open(ctx, b.usage)
	return err
}

func (b *books) openClickHouse(ctx context.Context) error {
	m := &b.app.cfg.Meter
	server, err := clickHouseServer(&m.ClickHouse)
	if err != nil {
		return err
	}
	b.remote, err = clickhouse.Open(ctx, clickhouse.Options{
		Server: server, Dir: filepath.Join(b.app.cfg.Data, segmentsDir), MaxBytes: m.MaxBytes / 2, Log: b.app.log,
	})
	if err != nil {
		return err
	}
	b.store = b.remote
	state := func(name string, f func(clickhouse.State) float64) {
		b.app.metrics.NewGauge(name, func() float64 { return f(b.remote.State()) })
	}
	state("ownkey_clickhouse_segments", func(s clickhouse.State) float64 { return float64(s.Segments) })
	state("ownkey_clickhouse_segment_bytes", func(s clickhouse.State) float64 { return float64(s.Bytes) })
	state("ownkey_clickhouse_rows", func(s clickhouse.State) float64 { return float64(s.Rows) })
	state("ownkey_clickhouse_failures", func(s clickhouse.State) float64 { return float64(s.Failures) })
	state("ownkey_clickhouse_rejected_rows", func(s clickhouse.State) float64 { return float64(s.Rejected) })
	state("ownkey_clickhouse_damaged_segments", func(s clickhouse.State) float64 { return float64(s.Quarantine) })
	state("ownkey_clickhouse_lag_seconds", func(s clickhouse.State) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return time.Since(s.Oldest).Seconds()
	})
	return nil
}

// clickHouseServer says how to reach ClickHouse.
func clickHouseServer(c *config.ClickHouse) (s clickhouse.Server, err error) {
	addresses, err := c.Servers()
	if err != nil {
		return s, fmt.Errorf("cannot use meter.clickhouse.url: %w", err)
	}
	roots, err := readRoots(c.CAFile)
	if err != nil {
		return s, err
	}
	password := func() (p string) {
		c.Password.Use(func(b []byte) { p = string(b) })
		return p
	}
	return clickhouse.Server{
		Addresses: addresses, Database: c.Database, User: c.User, Password: password, Roots: roots, Cluster: c.Cluster, Timeout: c.Timeout,
	}, nil
}

// observe publishes the ledger's state.
func (b *books) observe() {
	for _, what := range []string{"torn", "damaged", "disk"} {
		b.trouble(what)
	}
	gauge := func(name string, f func() float64) { b.app.metrics.NewGauge(name, f) }
	gauge("ownkey_ledger_bytes", func() float64 { held, _ := b.journal.Bytes(); return float64(held) })
	gauge("ownkey_ledger_max_bytes", func() float64 { _, most := b.journal.Bytes(); return float64(most) })
	gauge("ownkey_ledger_refused_requests", func() float64 { return float64(b.journal.Refused()) })
	gauge("ownkey_sink_rows", func() float64 { return float64(b.drain.Taken()) })
	gauge("ownkey_sink_lag_seconds", func() float64 { return b.drain.Lag().Seconds() })
}

// alarm tells the operator what the ledger has found.
func (b *books) alarm(t ledger.Trouble) {
	b.trouble(t.What).Inc()
	b.app.log.Error().Err(t.Err).Str("what", t.What).Str("file", t.File).Int64("offset", t.Offset).Int64("bytes", t.Bytes).
		Str("kept", t.Kept).Msg("trouble with the ledger of records")
}

func (b *books) trouble(what string) *metrics.Counter {
	return b.app.metrics.GetOrCreateCounter(`ownkey_ledger_trouble_total{what="` + what + `"}`)
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
	if err := b.drain.Flush(ctx); err != nil || b.remote == nil {
		return err
	}
	return b.remote.Flush(ctx)
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
	if b.remote != nil {
		errs = append(errs, b.remote.Close())
	}
	if b.usage != nil {
		errs = append(errs, b.usage.Close())
	}
	if b.journal != nil {
		errs = append(errs, b.journal.Shut())
	}
	return errors.Join(errs...)
}
