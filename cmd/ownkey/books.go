package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/installation"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/clickhouse"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
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
	aside   *quarantine.File
	spent   *spent.Book // between the ledger and the store
	drain   *drain.Drain
	begin   func()                 // lets the drain begin; may be called again
	began   <-chan struct{}        // closed by it
	trouble *prometheus.CounterVec // of the ledger, by kind
	told    atomic.Int64           // when its disk was told of, Unix ns
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
	b = &books{app: a, trouble: promauto.With(a.metrics).NewCounterVec(prometheus.CounterOpts{
		Name: "ownkey_ledger_trouble_total", Help: "Trouble with the ledger by kind: a torn end after a crash, damaged frames, the disk.",
	}, []string{"what"})}
	for _, what := range []string{"torn", "damaged", "disk"} {
		b.trouble.WithLabelValues(what)
	}
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
	if err := a.installation.Part(ctx, ledgerDir, b.journal.Identity().Gateway.String()); err != nil {
		return b, err
	}
	if b.aside, err = quarantine.Open(filepath.Join(a.cfg.Data, ledgerDir, "quarantine", quarantine.FileName), 0); err != nil {
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
	if b.spent, err = spent.Open(ctx, a.database, &drain.Guard{Store: b.store, Quarantine: b.aside, Log: a.log}); err != nil {
		return b, err
	}
	hold := make(chan struct{})
	b.begin, b.began = sync.OnceFunc(func() { close(hold) }), hold
	if b.drain, err = drain.Start(ctx, drain.Options{Journal: b.journal, Sink: b.spent, Quarantine: b.aside, Log: a.log, Lines: lines, Shown: func() bool { return logLevel.Sample(zerolog.InfoLevel) }, Interval: b.interval(), Hold: hold}); err != nil {
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
	b.usage.Migrating = b.app.migrating(usageFile)
	if err := b.app.installation.Database(ctx, usageFile, b.usage); err != nil {
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
		Server: server, Dir: filepath.Join(b.app.cfg.Data, segmentsDir), MaxBytes: m.MaxBytes / 2, Quarantine: b.aside, Claim: b.claimClickHouse, Log: b.app.log,
	})
	if err != nil {
		return err
	}
	b.store = b.remote
	b.observeClickHouse()
	return nil
}

// clickHouseStore is ClickHouse's name among the stores of an installation.
const clickHouseStore = "clickhouse"

// claimClickHouse checks that the database is the one that records went to
// before, and claims one that is nobody's.
func (b *books) claimClickHouse(ctx context.Context, remote *clickhouse.Store) error {
	found, err := remote.Look(ctx, b.journal.Identity().Gateway)
	if err != nil {
		return err
	}
	err = b.app.installation.Remote(ctx, clickHouseStore, installation.Remote{
		Mark: found.Made.Format(time.RFC3339), Owner: found.Owner, Strange: found.Strange,
	}, remote.Own)
	if errors.Is(err, installation.ErrMismatch) {
		return &clickhouse.Problem{What: err.Error()}
	}
	return err
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

// observe publishes the ledger's state and the store's progress.
func (b *books) observe() {
	with := promauto.With(b.app.metrics)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_ledger_bytes", Help: "Bytes of the ledger that are in use.",
	}, func() float64 { held, _ := b.journal.Bytes(); return float64(held) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_ledger_max_bytes", Help: "Bytes that the ledger may use; at that size requests are refused.",
	}, func() float64 { _, most := b.journal.Bytes(); return float64(most) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_ledger_refused_requests_total", Help: "Requests that were refused because the ledger was full.",
	}, func() float64 { return float64(b.journal.Refused()) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_sink_rows_total", Help: "Rows that the store has taken from the ledger.",
	}, func() float64 { return float64(b.drain.Taken()) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_sink_lag_seconds", Help: "How long records have waited without a hand-over coming to its end; 0 when the store has all.",
	}, func() float64 { return b.drain.Lag().Seconds() })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_quarantine_rows", Help: "Rows in the quarantine: their store refuses them, or this program cannot read them.",
	}, func() float64 { return float64(b.aside.State().Held) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_quarantined_rows_total", Help: "Rows that were set aside in the quarantine.",
	}, func() float64 { return float64(b.aside.State().Added) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_quarantine_dropped_rows_total", Help: "Rows that found no room in the quarantine and are lost.",
	}, func() float64 { return float64(b.aside.State().Dropped) })
}

// observeClickHouse publishes the state of the segments on their way.
func (b *books) observeClickHouse() {
	with := promauto.With(b.app.metrics)
	state := b.remote.State
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_clickhouse_segments", Help: "Segments on disk that ClickHouse has not taken yet.",
	}, func() float64 { return float64(state().Segments) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_clickhouse_segment_bytes", Help: "Bytes of the segments that ClickHouse has not taken yet.",
	}, func() float64 { return float64(state().Bytes) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_clickhouse_rows_total", Help: "Rows that ClickHouse has acknowledged.",
	}, func() float64 { return float64(state().Rows) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_clickhouse_failures_total", Help: "Insertions that ClickHouse did not acknowledge; they are repeated.",
	}, func() float64 { return float64(state().Failures) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_clickhouse_rejected_rows_total", Help: "Rows that ClickHouse refused; they are in its table rejects.",
	}, func() float64 { return float64(state().Rejected) })
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_clickhouse_damaged_segments_total", Help: "Segments that were damaged on disk and set aside; their rows are in no table.",
	}, func() float64 { return float64(state().Quarantine) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_clickhouse_lag_seconds", Help: "Age of the oldest segment that ClickHouse has not taken; 0 when it has all.",
	}, func() float64 {
		if oldest := state().Oldest; !oldest.IsZero() {
			return time.Since(oldest).Seconds()
		}
		return 0
	})
}

// lateAfter is the age from which rows that wait count as late.
const lateAfter = time.Minute

// condition is the records' word in /readyz: ok; late when rows do not reach
// their store; degraded when rows were set aside. None of them stops requests: a
// full ledger does, which is a part of its own.
func (b *books) condition() string {
	switch state := b.aside.State(); {
	case b.drain.Lag() > lateAfter:
		return "late"
	case state.Held > 0 || state.Dropped > 0 || b.remote != nil && b.remote.State().Rejected > 0:
		return "degraded"
	}
	return "ok"
}

// diskInterval is how often the log tells of a disk: one that is full is tried
// many times in a second, and the log may be on it.
const diskInterval = 10 * time.Second

// alarm tells the operator what the ledger has found. It is for several
// goroutines.
func (b *books) alarm(t ledger.Trouble) {
	b.trouble.WithLabelValues(t.What).Inc()
	if t.What == "disk" {
		before, now := b.told.Load(), time.Now().UnixNano()
		if now-before < int64(diskInterval) && now >= before || !b.told.CompareAndSwap(before, now) {
			return
		}
	}
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

// flushTime bounds how long a question waits for the newest rows: as long as
// they may take to their store.
const flushTime = 5 * time.Second

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

// hurry hands on what waits, unless the start has failed before anything was
// handed on at all.
func (b *books) hurry(ctx context.Context) {
	select {
	case <-b.began:
	default:
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer done()
	if err := b.drain.Flush(ctx); err != nil {
		b.app.log.Warn().Err(err).Msg("stopping with records in the ledger; the next start hands them on")
	}
}

func (b *books) close(ctx context.Context) error {
	var errs []error
	if b.drain != nil {
		b.hurry(ctx)
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
