package vaultbridge

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	loginTimeout = 5 * time.Second
	// Between two tries to log in: doubled from one to the next.
	minLoginPause = 500 * time.Millisecond
	maxLoginPause = 30 * time.Second
	// lockedOutPause is the time between two tries of a role that Vault has
	// locked out.
	lockedOutPause = time.Minute
	// A token that is refused so soon after a login was not worth it: the next
	// one waits longer.
	soon = time.Minute
	// filePoll is how often a file is looked at whose change is waited for: a
	// token, or what takes the place of a refused secret id.
	filePoll = 5 * time.Second
)

// Event is a change of state that an operator wants to read once.
type Event struct {
	Identity string // "data" or "admin"
	Good     bool   // back again, or gone
	What     string // "login" or "vault"
	Reason   Reason
	Detail   error         // what a login failed with; never of an unseal
	After    time.Duration // how long it was gone
}

// session is one identity that stays logged in. Its goroutine renews the
// token well before it ends, with jitter, and logs in again when that is no
// longer possible or when Vault has refused the token.
type session struct {
	identity string
	login    Login
	client   *api.Client // holds the token
	notify   func(Event)
	ready    atomic.Bool           // it has had a token, or needs none
	failed   atomic.Pointer[error] // of the last login; nil when it went well
	ends     atomic.Int64          // Unix seconds at which the secret id ends; 0 for not known
	gauge    *prometheus.GaugeVec
	refusal  *refusal
	next     *api.Secret   // keep's: a token that is there already
	first    chan struct{} // closed after the first try
	refused  chan struct{}
	stop     context.CancelFunc
	done     sync.WaitGroup
}

func newSession(ctx context.Context, identity string, o *TransitOptions, l Login, ends *prometheus.GaugeVec) (*session, error) {
	client, err := newClient(o, &l, identity == "admin")
	if err != nil {
		return nil, err
	}
	s := &session{identity: identity, login: l, client: client, notify: o.Notify, refusal: openRefusal(o.Refusals, o.Name+"-"+identity), gauge: ends, first: make(chan struct{}), refused: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.done.Go(func() { s.keep(ctx) })
	return s, nil
}

func (s *session) close() {
	s.stop()
	s.done.Wait()
}

// distrust asks for a new login: Vault has refused the token. It never waits.
func (s *session) distrust() {
	select {
	case s.refused <- struct{}{}:
	default:
	}
}

// keep stays logged in until it is stopped.
func (s *session) keep(ctx context.Context) {
	defer crash.Exit()
	pause := minLoginPause
	var failing time.Time // since when; zero for not
	for first := true; ctx.Err() == nil; first = false {
		began := time.Now()
		ids := s.ids()
		secret, err := s.next, error(nil)
		if s.next = nil; secret == nil {
			secret, err = s.try(ctx, ids)
		}
		if ctx.Err() != nil {
			return
		}
		s.note(err)
		switch {
		case err != nil && failing.IsZero():
			failing = began
			s.notify(Event{Identity: s.identity, What: "login", Reason: reasonOf(err), Detail: err})
		case err == nil && !failing.IsZero():
			s.notify(Event{Identity: s.identity, What: "login", Good: true, After: time.Since(failing)})
			failing = time.Time{}
		}
		var refused bool
		if err == nil {
			refused = s.hold(ctx, secret, ids, first)
		} else if first {
			close(s.first)
		}
		if err == nil && (time.Since(began) > soon || !refused && time.Since(began) > minLoginPause) {
			pause = minLoginPause
			continue
		}
		switch {
		case err != nil && reasonOf(err) == ReasonRefused:
			for s.ids() == ids && s.refusal.holds(ids) && ctx.Err() == nil { // the same again would lock the role out
				sleep(ctx, filePoll)
			}
			pause = minLoginPause
		case err != nil && reasonOf(err) == ReasonLockedOut:
			sleep(ctx, jitter(lockedOutPause))
		default:
			sleep(ctx, jitter(pause))
			pause = min(2*pause, s.maxPause())
		}
	}
}

// try logs in with what the files hold, unless that was refused before.
func (s *session) try(ctx context.Context, ids ids) (*api.Secret, error) {
	if s.refusal.holds(ids) {
		return nil, s.refusal.error()
	}
	ctx, done := context.WithTimeout(ctx, loginTimeout)
	defer done()
	secret, err := s.logIn(ctx)
	switch {
	case err == nil:
		s.refusal.forget()
		s.endsAt(endOf(secret))
	case reasonOf(err) == ReasonRefused:
		s.refusal.keep(ids)
		return nil, s.refusal.error()
	}
	return secret, err
}

// endsAt notes when the secret id ends.
func (s *session) endsAt(at int64) {
	if s.ends.Store(at); at == 0 {
		s.gauge.DeleteLabelValues(s.identity)
		return
	}
	s.gauge.WithLabelValues(s.identity).Set(float64(at))
}

// renew logs in with a secret id that has taken the place of the one before,
// which may end any moment. The token stays when the new one is of no use.
func (s *session) renew(ctx context.Context, ids ids) (renewed bool) {
	if s.refusal.holds(ids) {
		return false
	}
	next, err := s.try(ctx, ids)
	if err != nil {
		if s.loggedIn() == nil {
			s.notify(Event{Identity: s.identity, What: "login", Reason: reasonOf(err), Detail: err})
		}
		s.note(err)
		return false
	}
	s.next = next
	return true
}

// note keeps what came of a login, for those who ask later.
func (s *session) note(err error) {
	if err == nil {
		s.failed.Store(nil)
		return
	}
	s.failed.Store(&err)
}

// loggedIn is what came of the last login.
func (s *session) loggedIn() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// maxPause is short where nothing is logged in: to read a file again costs
// Vault nothing.
func (s *session) maxPause() time.Duration {
	if s.login.Method == MethodTokenFile {
		return filePoll
	}
	return maxLoginPause
}

// hold uses a token until another one is needed: refused says that Vault did
// not take it any more.
func (s *session) hold(ctx context.Context, secret *api.Secret, held ids, first bool) (refused bool) {
	if secret != nil {
		s.client.SetToken(secret.Auth.ClientToken)
	}
	s.ready.Store(true)
	select {
	case <-s.refused: // it was the token before
	default:
	}
	if first {
		close(s.first)
	}
	var ends <-chan error
	if secret != nil && secret.Auth.LeaseDuration > 0 {
		w, err := s.client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret}) // renews with jitter
		if err != nil {
			return false
		}
		go func() {
			defer crash.Exit()
			w.Start()
		}()
		defer w.Stop()
		ends = w.DoneCh()
	}
	var look <-chan time.Time
	if s.login.Method == MethodTokenFile || s.login.Method == MethodAppRole {
		tick := time.NewTicker(filePoll)
		defer tick.Stop()
		look = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ends: //nolint:errcheck // whatever the reason is, a new login follows
			return false
		case <-s.refused:
			return true
		case <-look:
			if s.replaced(ctx, held) {
				return false
			}
		}
	}
}

// replaced reports whether a file holds another token, or a secret id that has
// led to one.
func (s *session) replaced(ctx context.Context, held ids) bool {
	if s.login.Method == MethodTokenFile {
		token, err := readSecretFile(s.login.TokenFile)
		return err == nil && token != s.client.Token()
	}
	now := s.ids()
	if now == held {
		s.note(nil) // also when it was another one meanwhile, which was refused
	}
	return now != held && s.renew(ctx, now)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// jitter shortens a time by up to a tenth, so that what began together does
// not happen again together. It never lengthens it.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // spreads load, guards nothing
}
