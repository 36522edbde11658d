package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/gateway/front"
	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/deferred"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/ownkey/ownkey/wire"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Provider is a vendor that requests can be sent to.
type Provider struct {
	// Name is what clients and operators call it: the first segment of a
	// pinned path, the prefix of a model.
	Name string
	// Target is where its requests go, unless a credential has a base URL.
	Target *upstream.Target
	// CredentialHeader stands before the secret: "Authorization: Bearer " or
	// "x-api-key: ".
	CredentialHeader string
	// MaxBodyBytes bounds a body that is held to be routed.
	MaxBodyBytes int64
	// RequestHeaders pass to it, ResponseHeaders from it; nil is what passes for
	// every provider.
	RequestHeaders, ResponseHeaders *HeaderList
	// Usage says how its counts differ from those of its dialect.
	Usage wire.UsageRules
	// Roots are the certificate authorities to trust; nil for the system's.
	Roots *x509.CertPool
}

// Limits bound what clients can make the gateway hold.
type Limits struct {
	MaxHeaderBytes int
	MaxConnections int
}

// Timeouts bound how long the gateway waits for clients.
type Timeouts struct {
	ClientHeader  time.Duration // for a request's head and its first body bytes
	ClientIdle    time.Duration // between requests on one connection
	ClientSilence time.Duration // between two reads of a body
	ClientWrite   time.Duration // for one write to a client that does not read
}

// Options are the gateway's parts. All fields are required.
type Options struct {
	Directory   *directory.Directory
	Credentials *vaultbridge.Cache
	Ring        *vaultbridge.Ring
	Upstream    *upstream.Client
	// Settings are those of the start; Apply changes them.
	Settings  Settings
	Journal   *meter.Journal
	Admission *admission.Limiter
	// Records gives the word of /readyz about the records that wait for their
	// store: ok, late or degraded. It must not block.
	Records func() string
	// Deferred remembers what providers go on with after a call has ended.
	Deferred *deferred.Book
	// Usage answers GET /v1/usage about a tenant, in JSON; code is one of the
	// gateway's for an error, else empty.
	Usage    func(ctx context.Context, tenant, rawQuery string) (status int, code string, body []byte)
	Memory   *Memory
	Limits   Limits
	Timeouts Timeouts
	// TLS makes the listener speak it; nil is plain HTTP.
	TLS *tls.Config
	// HSTS is the max-age of Strict-Transport-Security; zero sends none.
	HSTS time.Duration
	// Proxies are trusted to say where a call comes from.
	Proxies origin.Prefixes
	// ProxyProtocol: connections from Proxies begin with a PROXY header.
	ProxyProtocol bool
	// LogAddresses puts clients' addresses into lines of the log about refusals.
	LogAddresses bool
	// Metrics takes the counters of requests.
	Metrics prometheus.Registerer
	Log     *zerolog.Logger
}

// Gateway serves the data plane.
type Gateway struct {
	directory    *directory.Directory
	credentials  *vaultbridge.Cache
	ring         *vaultbridge.Ring
	upstream     *upstream.Client
	table        atomic.Pointer[table]
	journal      *meter.Journal
	admission    *admission.Limiter
	deferred     *deferred.Book
	usage        func(ctx context.Context, tenant, rawQuery string) (status int, code string, body []byte)
	records      func() string
	memory       *Memory
	limits       Limits
	timeouts     Timeouts
	hsts         []byte // header value; empty for none
	log          *zerolog.Logger
	server       *front.Server
	accepting    seldom
	shaking      seldom
	introducing  seldom
	turning      seldom
	refusing     seldom
	misplaced    seldom
	proxies      origin.Prefixes
	logAddresses bool
	watcher      *watcher
	metrics      *metrics
	failures     failureLog
	draining     atomic.Bool
	responses    responses
}

// randPool is for request ids: they are no secrets, and a system call for each is a
// waste. It is for the process, and not to be turned on again while another gateway
// of the process makes ids.
var randPool = sync.OnceFunc(uuid.EnableRandPool)

// New makes a gateway. Serve starts it, Shutdown ends it.
func New(o Options) *Gateway {
	g := &Gateway{
		directory: o.Directory, credentials: o.Credentials, ring: o.Ring, upstream: o.Upstream,
		journal: o.Journal, admission: o.Admission, deferred: o.Deferred, usage: o.Usage, records: o.Records, memory: o.Memory, limits: o.Limits, timeouts: o.Timeouts, log: o.Log,
		proxies: o.Proxies, logAddresses: o.LogAddresses,
	}
	g.table.Store(newTable(o.Upstream, &o.Settings))
	if o.HSTS > 0 {
		g.hsts = fmt.Appendf(nil, "max-age=%d", int64(o.HSTS/time.Second))
	}
	g.watcher = newWatcher(func() bool { return g.table.Load().cutRevoked }, g.revoked)
	g.metrics = newMetrics(o.Metrics)
	randPool()
	var proxied func(net.Addr) bool
	if o.ProxyProtocol {
		proxied = o.Proxies.Peer
	}
	g.server = front.New(front.Options{
		Proxied: proxied, BadHeader: g.BadProxyHeader,
		Handler: g.handle, Unreadable: g.unreadable, Trouble: g.acceptTrouble, Handshake: g.badHandshake, TurnedAway: g.turnedAway, TLS: o.TLS, Large: g.admission.Heads(),
		MaxConnections: o.Limits.MaxConnections, MaxHeadBytes: o.Limits.MaxHeaderBytes,
		HeadTimeout: o.Timeouts.ClientHeader, IdleTimeout: o.Timeouts.ClientIdle, WriteTimeout: o.Timeouts.ClientWrite,
	})
	return g
}

// Serve accepts clients until Shutdown.
func (g *Gateway) Serve(l net.Listener) error {
	if err := g.server.Serve(l); err != nil {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

// Connections counts those of clients that are open.
func (g *Gateway) Connections() int { return g.server.Connections() }

// cutTime is how long requests that were cut may take to their end.
const cutTime = time.Second

// Shutdown stops accepting, answers new requests on open connections with 503
// draining, and waits for those in flight. When ctx ends first, the rest is
// canceled as if the clients had left, and recorded.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.draining.Store(true)
	err := g.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		g.watcher.cancelAll()
		g.server.Cut()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), cutTime)
		defer stop()
		err = g.server.Shutdown(last)
	}
	g.watcher.close()
	if err != nil {
		return fmt.Errorf("cannot finish all requests: %w", err)
	}
	return nil
}

// keep hands a finished request's record to the ledger. It fails only if the
// disk breaks: the log then has the line that the ledger has not.
func (g *Gateway) keep(r *meter.Record) {
	if r.ErrorCause != 0 {
		g.metrics.failures.WithLabelValues(r.Provider, r.ErrorCause.String()).Inc()
		g.failures.note(g.log, r)
	}
	if err := g.journal.Close(r); err != nil {
		g.log.Error().Err(err).Stringer("request_id", r.RequestID).Str("tenant", r.TenantID).
			Stringer("outcome", r.Outcome).Str("error_code", r.ErrorCode).Msg("record is not in the ledger")
	}
}

// bodyLimit is the limit for a held body: the pinned provider's, or the
// general one.
func (t *table) bodyLimit(pinned []byte) int64 {
	if p := t.providers[string(pinned)]; p != nil {
		return p.MaxBodyBytes
	}
	return t.maxBodyBytes
}

func (r *request) credentialError(err error) error {
	name := r.provider.Name
	switch {
	case errors.Is(err, directory.ErrNotFound) && len(r.ctx.Request.Header.PeekBytes(headerCredential)) > 0: // whose default may be sound
		return refuse(codeCredentialMissing, "header Ownkey-Credential: this tenant has no credential with that label for provider "+name+
			"; see which there are: ownkey credential list --tenant "+r.caller.Tenant.ID)
	case errors.Is(err, directory.ErrNotFound):
		return refuse(codeCredentialMissing, "this tenant has no such credential for provider "+name+
			"; add one: ownkey credential put --tenant "+r.caller.Tenant.ID+" --provider "+name)
	case errors.Is(err, directory.ErrNotAllowed):
		return refuse(codeNotAllowed, "header Ownkey-Credential: the token may not use "+
			"the credential of provider "+name+" that the call means; choose one that it may use, or have it allowed: ownkey token update --credential")
	case errors.Is(err, directory.ErrAmbiguous):
		return refuse(codeCredentialMissing, "this tenant has several credentials for provider "+name+
			" and none is named default; choose one with the header Ownkey-Credential")
	}
	return err
}
