package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

const (
	// keyPrefix begins the name of every tenant's transit key.
	keyPrefix = "ownkey-"
	// fingerprintKey makes fingerprints. No tenant's key can have its name:
	// an underscore stands where theirs has a dash.
	fingerprintKey = "ownkey_fingerprint"
	// UnsealHeader carries our unseal ids into Vault's audit log.
	UnsealHeader = "Ownkey-Unseal-Id"
	// HedgeMark follows the ids in the second call of a hedge.
	HedgeMark = "hedge"
	// adminTimeout bounds calls that no client's request waits for.
	adminTimeout = 5 * time.Second
)

// Unsealing is an unseal that is about to be asked for.
type Unsealing struct {
	ID           string
	At           time.Time
	Tenant       string
	CredentialID string
	Keyring      string
	Hedge        bool // it is asked for a second time
}

// TransitOptions say where Vault is and who we are to it.
type TransitOptions struct {
	Name string // stored with each row
	// Installation is a part of the names of the keys that it makes, so that
	// two installations on one Vault never share one. Lower-case letters and
	// digits; empty for names without it, as all were once.
	Installation string
	Address      string // http(s)://host:port, or unix:///path of Vault Agent's listener
	Namespace    string
	Mount        string // of the transit engine
	CAFile       string // PEM; empty for the system's authorities
	// Timeout is the deadline of an unseal.
	Timeout time.Duration
	// Data may decrypt and nothing else. Admin may do all but decrypt; its
	// Method is empty on a gateway that only serves.
	Data, Admin Login
	// Refusals is the directory that remembers refused secret ids for the next
	// process; empty for none.
	Refusals string
	// Journal is told of every unseal before Vault is asked, and again before it
	// is asked a second time, on the path of the request that waits for it.
	Journal func(Unsealing)
	// Notify is told of changes of state. It must not block.
	Notify func(Event)
	// Metrics takes the counters.
	Metrics prometheus.Registerer
}

// Transit is a keyring over HashiCorp Vault's transit engine, with one derived
// aes256-gcm96 key per tenant. Two identities keep opening and sealing apart.
// It is safe for concurrent use; Close ends its goroutines.
type Transit struct {
	o       TransitOptions
	data    *session
	admin   *session // nil without
	breaker *gobreaker.CircuitBreaker[[]byte]
	state   state
	stop    context.CancelFunc // of the probes
	probes  sync.WaitGroup
	meters  meters

	lines lines
	// checked holds the tenants whose key was found fit.
	checked sync.Map
}

const (
	// failuresToOpen consecutive failures mean that Vault is away: from then on
	// requests are not kept waiting for it.
	failuresToOpen = 5
	// openFor is the time until one call tries again.
	openFor = 500 * time.Millisecond
)

// NewTransit makes the keyring and begins to log in. It waits for the first
// try of each identity, not for its success: a gateway may start before its
// Vault does.
func NewTransit(ctx context.Context, o TransitOptions) (*Transit, error) {
	t := &Transit{o: o, stop: func() {}}
	t.state.heard(ReasonLogin, time.Now())
	t.meters.init(o.Metrics, o.Name, &t.state)
	t.breaker = gobreaker.NewCircuitBreaker[[]byte](t.breakerSettings())
	var err error
	if t.data, err = newSession(ctx, "data", &o, o.Data, t.meters.ends); err != nil {
		return nil, err
	}
	if o.Admin.Method != "" {
		if t.admin, err = newSession(ctx, "admin", &o, o.Admin, t.meters.ends); err != nil {
			t.Close()
			return nil, err
		}
	}
	for _, s := range t.sessions() {
		select {
		case <-s.first:
		case <-ctx.Done():
			t.Close()
			return nil, ctx.Err()
		}
	}
	t.probe(ctx)
	ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.probes.Go(func() { t.watch(ctx) })
	return t, nil
}

func (t *Transit) breakerSettings() gobreaker.Settings {
	var mu sync.Mutex // the breaker calls back under its own lock, but says nothing of order
	var since time.Time
	return gobreaker.Settings{
		Timeout:     openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
		IsSuccessful: func(err error) bool {
			return err == nil || errors.Is(err, ErrUnsealable)
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case from == gobreaker.StateClosed:
				since = time.Now()
				t.o.Notify(Event{Identity: "data", What: "vault", Reason: t.meters.lastReason()})
			case to == gobreaker.StateClosed:
				t.o.Notify(Event{Identity: "data", What: "vault", Good: true, After: time.Since(since)})
			}
		},
	}
}

func (t *Transit) sessions() []*session {
	if t.admin == nil {
		return []*session{t.data}
	}
	return []*session{t.data, t.admin}
}

// Close stops renewing. Vault revokes the tokens when their time is up.
func (t *Transit) Close() {
	t.stop()
	t.probes.Wait()
	for _, s := range t.sessions() {
		if s != nil {
			s.close()
		}
	}
}

// Name is the configured name.
func (t *Transit) Name() string { return t.o.Name }

// Ready reports whether Vault is usable, as far as it is known: it was asked in
// the last second or so, and is not asked again.
func (t *Transit) Ready() error {
	if reason := t.state.now(); reason != "" {
		return &unavailable{reason}
	}
	return nil
}

// health asks Vault whether it is open and, of us, whether we are logged in.
func (t *Transit) health(ctx context.Context) error {
	if !t.data.ready.Load() {
		return &unavailable{ReasonLogin}
	}
	ctx, stop := context.WithTimeout(ctx, t.o.Timeout)
	defer stop()
	health, err := t.data.client.Sys().HealthWithContext(ctx)
	switch {
	case err != nil:
		return &unavailable{reasonOf(err)}
	case health.Sealed || !health.Initialized:
		return &unavailable{ReasonSealed}
	}
	return nil
}

// Key is the name of the key that seals for a tenant.
func (t *Transit) Key(tenant string) string {
	if t.o.Installation == "" {
		return ""
	}
	return keyPrefix + t.o.Installation + keySeparator + tenant
}

// keySeparator is in no tenant's id and in no installation's: no key of one
// form has a name of the other.
const keySeparator = "."

// KeyName gives the name that a tenant's key has in Vault, from the one stored
// with a row: empty is ownkey-<tenant>, from before installations had keys of
// their own. Anything but a key of this tenant is ErrUnsealable: the name
// becomes a part of a path.
func KeyName(tenant, stored string) (string, error) {
	if stored == "" {
		return keyPrefix + tenant, nil
	}
	middle, tail := strings.CutSuffix(stored, keySeparator+tenant)
	installation, head := strings.CutPrefix(middle, keyPrefix)
	if !head || !tail || installation == "" || strings.ContainsFunc(installation, notOfInstallation) {
		return "", fmt.Errorf("%w: its key is of another tenant", ErrUnsealable)
	}
	return stored, nil
}

func notOfInstallation(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

// own is the name in Vault of the key that seals for a tenant.
func (t *Transit) own(tenant string) string {
	if key := t.Key(tenant); key != "" {
		return key
	}
	return keyPrefix + tenant
}

func (t *Transit) path(operation, key string) string { return t.o.Mount + "/" + operation + "/" + key }

// ask runs a call of the admin identity, with its deadline, and sorts its
// error.
func (t *Transit) ask(ctx context.Context, call func(ctx context.Context, c *api.Client) error) error {
	if t.admin == nil {
		return fmt.Errorf("%w: this gateway has no admin identity (keyring.vault.admin)", ErrUnsupported)
	}
	if !t.admin.ready.Load() {
		return &unavailable{ReasonLogin}
	}
	ctx, stop := context.WithTimeout(ctx, adminTimeout)
	defer stop()
	err := call(ctx, t.admin.client)
	if err == nil || errors.Is(err, ErrUnsealable) || errors.Is(err, ErrKeySettings) || errors.Is(err, ErrUnavailable) {
		return err
	}
	reason := reasonOf(err)
	if reason == ReasonDenied {
		t.admin.distrust()
	}
	t.meters.adminFailures(reason)
	return &unavailable{reason}
}
