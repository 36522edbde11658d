package vaultbridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

const (
	// probeInterval is how often Vault is asked whether it is there. Between two
	// questions the decrypts themselves tell.
	probeInterval = time.Second
	// deniedFor is how long a refusal counts although Vault says that it is
	// healthy: its health says nothing of our token.
	deniedFor = 10 * time.Second
)

// state is what is known about Vault now, without asking: the last thing that
// it said, to a probe or to a decrypt.
type state struct {
	mu     sync.Mutex
	reason Reason    // empty: it is usable; guarded by mu
	denied time.Time // last refusal; guarded by mu
}

// heard notes that Vault did, or did not, do what it was asked for.
func (s *state) heard(r Reason, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reason = r
	if r == ReasonDenied {
		s.denied = now
	}
	if r == "" {
		s.denied = time.Time{}
	}
}

// probed notes an answer to a probe, which cannot excuse a fresh refusal.
func (s *state) probed(r Reason, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != "" || now.Sub(s.denied) >= deniedFor {
		s.reason = r
	}
}

// now gives the reason why Vault is not usable; empty when it is.
func (s *state) now() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// watch probes Vault until ctx ends.
func (t *Transit) watch(ctx context.Context) {
	defer crash.Exit()
	for ctx.Err() == nil {
		sleep(ctx, jitter(probeInterval))
		t.probe(ctx)
	}
}

// probe asks Vault now, and notes what it says.
func (t *Transit) probe(ctx context.Context) {
	reason, now := Reason(""), time.Now()
	if err := t.health(ctx); err != nil {
		reason = ReasonFailing
		if known, ok := errors.AsType[*unavailable](err); ok {
			reason = known.reason
		}
	}
	if ctx.Err() == nil {
		t.state.probed(reason, now)
	}
}
