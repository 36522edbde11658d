package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/gateway/rotation"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/internal/installation"
	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/internal/proxyheader"
	"github.com/ownkey/ownkey/meter/deferred"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// app is every room, wired, with both listeners open.
type app struct {
	cfg          *config.Config                 // of the start; what a reload may change is in live
	live         atomic.Pointer[config.Config]  // cfg with what reloads have changed
	load         func() (*config.Config, error) // reads the configuration again; nil where there is no file
	hangups      <-chan os.Signal               // ask for a reload
	reloads      *reloads
	settings     gateway.Settings // that the gateway has now
	log          *zerolog.Logger
	metrics      *prometheus.Registry
	lock         *durable.Lock // of the data directory
	ring         *vaultbridge.Ring
	walker       *rotation.Walker
	database     *db.DB
	installation *installation.Register
	directory    *directory.Directory
	credentials  *vaultbridge.Cache
	client       *upstream.Client
	meter        *books
	admission    *admission.Limiter
	webhook      *webhook
	runaways     prometheus.Counter
	memory       *memories
	gateway      *gateway.Gateway
	admin        *http.Server
	adminTLS     *tls.Config // nil for plain HTTP
	data         []net.Listener
	control      []net.Listener
}

// Files in the data directory.
const (
	databaseFile = "ownkey.db"
	usageFile    = "usage.db"
	memoryFile   = "memory.db"
	ledgerDir    = "ledger"
	segmentsDir  = "segments"
)

// open wires the rooms and opens the listeners; run serves on them. lines is
// where the operator's log goes: the lines of requests are written there as
// they are kept. After an error nothing is left open.
func open(ctx context.Context, cfg *config.Config, log *zerolog.Logger, lines *lineWriter) (a *app, err error) {
	a = &app{cfg: cfg, log: log, metrics: newMetrics()}
	a.live.Store(cfg)
	a.reloads = newReloads(a.metrics)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close(ctx))
		}
	}()
	if a.lock, err = durable.LockDir(cfg.Data); err != nil {
		return a, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, restoringDir)); err == nil {
		return a, interrupted(cfg.Data)
	}
	if a.database, err = db.Open(ctx, filepath.Join(cfg.Data, databaseFile)); err != nil {
		return a, err
	}
	a.database.Migrating = a.migrating(databaseFile)
	if a.installation, err = installation.Open(ctx, a.database); err != nil {
		return a, err
	}
	if a.directory, err = directory.Open(ctx, a.database, directory.Options{
		Providers: slices.Collect(maps.Keys(cfg.AllProviders())), Loading: a.loading,
	}); err != nil {
		return a, err
	}
	promauto.With(a.metrics).NewCounterFunc(prometheus.CounterOpts{
		Name: "ownkey_log_dropped_lines_total", Help: "Lines of the operator's log that were dropped because nobody read it fast enough.",
	}, func() float64 { return float64(lines.Dropped()) })
	if a.meter, err = openBooks(ctx, a, lines); err != nil {
		return a, err
	}
	if a.ring, err = a.openRing(ctx); err != nil {
		return a, err
	}
	with := promauto.With(a.metrics)
	graceUses := with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_credential_grace_uses_total", Help: "Requests that used a credential beyond cache_ttl, since Vault could not be reached.",
	})
	if a.credentials, err = vaultbridge.NewCache(a.ring, vaultbridge.CacheOptions{
		TTL: cfg.Keyring.CacheTTL, Grace: cfg.Keyring.Grace, OnGrace: graceUses.Inc,
	}); err != nil {
		return a, err
	}
	a.client = upstream.NewClient()
	proxies, err := proxiesOf(&cfg.Egress)
	if err != nil {
		return a, err
	}
	a.client.Through(proxies)
	if a.settings, err = a.gatewaySettings(cfg); err != nil {
		return a, err
	}
	a.runaways = with.NewCounter(prometheus.CounterOpts{
		Name: "ownkey_runaway_alarms_total", Help: "Alarms about a token that uses far more than it usually does.",
	})
	a.openAdmission(ctx)
	if a.memory, err = openMemories(ctx, a); err != nil {
		return a, err
	}
	front, err := a.openCertificate("data", cfg.TLS)
	if err != nil {
		return a, err
	}
	connections, err := fitConnections(cfg.Limits.MaxConnections, log)
	if err != nil {
		return a, err
	}
	started, err := deferred.Open(ctx, a.database)
	if err != nil {
		return a, err
	}
	usageAPI := &admin.UsageAPI{Books: a.meter.store, Directory: a.directory, Stored: a.memory.stored, Flush: a.meter.flush, Now: time.Now}
	trusted, _ := origin.ParseAll(cfg.TrustedProxies) // config has looked at them
	a.gateway = gateway.New(gateway.Options{
		Directory: a.directory, Credentials: a.credentials, Ring: a.ring, Upstream: a.client,
		Settings: a.settings, Journal: a.meter.journal, Admission: a.admission, Deferred: started, Usage: usageAPI.Answer, Records: a.meter.condition, Memory: a.memory.options(), Metrics: a.metrics, Log: log,
		Limits: gateway.Limits{
			MaxHeaderBytes: int(cfg.Limits.MaxHeaderBytes), MaxConnections: connections,
		},
		Proxies: trusted, ProxyProtocol: cfg.ProxyProtocol, LogAddresses: cfg.Log.ClientAddresses,
		TLS: front, HSTS: cfg.TLS.HSTS,
		Timeouts: gateway.Timeouts{
			ClientHeader: cfg.Timeouts.ClientHeader, ClientIdle: cfg.Timeouts.ClientIdle,
			ClientSilence: cfg.Timeouts.ClientSilence, ClientWrite: cfg.Timeouts.ClientWrite,
		},
	})
	a.walker = rotation.New(ctx, rotation.Options{
		Directory: a.directory, Ring: a.ring, Log: log, Rate: int(cfg.Keyring.RewrapRate), Rebind: a.gateway.Rebind,
	})
	a.memory.keeper.Start(a.gateway)
	a.observe()
	invoices, err := invoice.New(ctx, invoice.Options{Events: a.meter.store, Tenants: a.directory, DB: a.database, Plan: pricePlans(a.now), Now: time.Now})
	if err != nil {
		return a, err
	}
	a.admin = a.adminServer(usageAPI, invoices, trusted)
	if a.adminTLS, err = a.openCertificate("admin", config.TLS{CertFile: cfg.Admin.TLS.CertFile, KeyFile: cfg.Admin.TLS.KeyFile}); err != nil {
		return a, fmt.Errorf("admin plane: %w", err)
	}
	if a.data, err = listenAll(ctx, cfg.Listen); err != nil {
		return a, fmt.Errorf("cannot open data plane: %w", err)
	}
	if a.control, err = listenAll(ctx, cfg.Admin.Listen); err != nil {
		return a, fmt.Errorf("cannot open admin plane: %w", err)
	}
	return a, nil
}

// migrating says that a store is being changed: until it is, nothing is served.
func (a *app) migrating(file string) func(from, to int64) {
	return func(from, to int64) {
		a.log.Info().Str("file", file).Int64("from", from).Int64("to", to).Msg("the store's schema is brought up to date; some ten seconds for a million rows")
	}
}

// loading logs that a first load of many rows goes on.
func (a *app) loading(rows int) { a.log.Info().Int("rows", rows).Msg("loading tenants and tokens") }

// observe publishes what the process holds.
func (a *app) observe() {
	with := promauto.With(a.metrics)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_client_connections", Help: "Open connections of clients on the data plane.",
	}, func() float64 { return float64(a.gateway.Connections()) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_requests_in_flight", Help: "Requests that are being served.",
	}, func() float64 { return float64(a.admission.InFlight()) })
}

func (a *app) adminServer(usageAPI *admin.UsageAPI, invoices *invoice.Book, proxies origin.Prefixes) *http.Server {
	handler := admin.New(admin.Options{
		Directory: a.directory, Ring: a.ring, Walker: a.walker, Metrics: a.metrics, Log: a.log, Usage: usageAPI, Invoices: invoices, Evidence: a.meter.store, Quarantine: a.meter.aside, Platform: a.platformCredentials, Token: func() config.Secret { return a.now().Admin.Token }, Pprof: a.cfg.Admin.Pprof, Proxies: proxies,
		Address: func(provider, baseURL string) (string, error) {
			address, err := a.gateway.Address(provider, baseURL)
			if errors.Is(err, gateway.ErrUnknownProvider) {
				err = admin.ErrUnknownProvider
			}
			return address, err
		},
		Test:    a.gateway.TestCredential,
		Ready:   a.gateway.Ready,
		Examine: a.examine,
	})
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: a.cfg.Timeouts.ClientHeader, IdleTimeout: a.cfg.Timeouts.ClientIdle,
		ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		ErrorLog: stdlog.New(io.Discard, "", 0), // net/http would quote what a handler panics with, or a broken request
	}
}

// run serves until SIGINT, SIGTERM or a failure, drains, and closes all.
func (a *app) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, len(a.data)+len(a.control))
	serve := func(on func(net.Listener) error, l net.Listener) {
		go func() {
			defer crash.Exit()
			failed <- on(l)
		}()
	}
	for _, l := range a.data {
		serve(a.gateway.Serve, l)
	}
	for _, l := range a.control {
		serve(a.serveAdmin, l)
	}
	a.log.Info().Str("listen", addressesOf(a.data)).Str("admin_listen", addressesOf(a.control)).Msg("serving")
	err := a.wait(ctx, failed)
	stop() // a second signal ends the process at once
	patience := a.now().Timeouts.Drain
	defer endWithin(patience + endTime)()
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer done()
	err = errors.Join(err, a.gateway.Shutdown(drain), a.admin.Shutdown(drain), a.admin.Close(), a.close(ctx))
	a.log.Info().Msg("stopped")
	return err
}

// wait returns when the process is to end, and reloads meanwhile.
func (a *app) wait(ctx context.Context, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			a.log.Info().Msg("stopping")
			return nil
		case err := <-failed:
			return err
		case <-a.hangups:
			a.reload()
		}
	}
}

// serveAdmin serves the admin plane. What is read is wiped behind TLS, where it
// is plain.
func (a *app) serveAdmin(l net.Listener) error {
	if a.cfg.Admin.ProxyProtocol {
		trusted, _ := origin.ParseAll(a.cfg.TrustedProxies) // config has looked at them
		l = &proxyheader.Listener{Listener: l, Proxied: trusted.Peer, Timeout: a.cfg.Timeouts.ClientHeader, Bad: a.gateway.BadProxyHeader}
	}
	if a.adminTLS != nil {
		l = tls.NewListener(l, a.adminTLS)
	}
	return a.admin.Serve(admin.Listener(l))
}

// close releases what is open, in the order of dependence. That ctx has ended
// does not matter.
func (a *app) close(ctx context.Context) error {
	var errs []error
	for _, l := range slices.Concat(a.data, a.control) {
		_ = l.Close() // closed by its server already, in the usual case
	}
	if a.memory != nil {
		errs = append(errs, a.memory.close())
	}
	if a.admission != nil {
		a.admission.Close()
		a.webhook.close()
	}
	if a.client != nil {
		a.client.Close()
	}
	if a.walker != nil {
		a.walker.Close()
	}
	if a.credentials != nil {
		a.credentials.Close()
	}
	if a.ring != nil {
		a.ring.Close()
	}
	if a.meter != nil {
		errs = append(errs, a.meter.close(ctx))
	}
	if a.directory != nil {
		a.directory.Close()
	}
	if a.database != nil {
		errs = append(errs, a.database.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}
