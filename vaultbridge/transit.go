package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

const (
	// keyPrefix stands before a tenant's id in the name of its transit key.
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
	Name      string // stored with each row
	Address   string // http(s)://host:port, or unix:///path of Vault Agent's listener
	Namespace string
	Mount     string // of the transit engine
	CAFile    string // PEM; empty for the system's authorities
	// Timeout is the deadline of an unseal.
	Timeout time.Duration
	// Data may decrypt and nothing else. Admin may do all but decrypt; its
	// Method is empty on a gateway that only serves.
	Data, Admin Login
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
	t := &Transit{o: o}
	t.meters.init(o.Metrics, o.Name)
	t.breaker = gobreaker.NewCircuitBreaker[[]byte](t.breakerSettings())
	var err error
	if t.data, err = newSession(ctx, "data", &o, o.Data); err != nil {
		return nil, err
	}
	if o.Admin.Method != "" {
		if t.admin, err = newSession(ctx, "admin", &o, o.Admin); err != nil {
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
				t.meters.away.Store(true)
				t.o.Notify(Event{Identity: "data", What: "vault", Reason: t.meters.lastReason()})
			case to == gobreaker.StateClosed:
				t.meters.away.Store(false)
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
	for _, s := range t.sessions() {
		if s != nil {
			s.close()
		}
	}
}

// Name is the configured name.
func (t *Transit) Name() string { return t.o.Name }

// Ready reports whether Vault is unsealed and knows us.
func (t *Transit) Ready(ctx context.Context) error {
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
