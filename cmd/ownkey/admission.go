package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/internal/crash"
)

// openAdmission makes the limiter and tells it what was spent before.
func (a *app) openAdmission(ctx context.Context) {
	a.webhook = newWebhook(func() *config.Runaway { return &a.now().Runaway }, a.log)
	a.admission = admission.New(admission.Options{
		Settings: a.admissionSettings(a.cfg), MaxBufferedBytes: a.cfg.Limits.MaxBufferedBytes,
		UsableToken:  a.directory.Usable,
		UsableTenant: func(id string) bool { _, err := a.directory.Tenant(id); return err == nil },
	})
	known := make(chan struct{})
	go a.restore(context.WithoutCancel(ctx), known)
	select { // in the usual case it takes milliseconds, and no request sees it
	case <-known:
	case <-time.After(restoreWait):
		a.log.Warn().Msg("what was spent is being read from the ledger; tokens with a budget get 503 until it is known")
	}
}

func (a *app) admissionSettings(c *config.Config) admission.Settings {
	l, r := &c.Limits, &c.Runaway
	return admission.Settings{
		MaxInFlight: l.MaxRequestsInFlight, QueueTime: l.QueueTime,
		Token: callerLimits(&l.Token), Tenant: callerLimits(&l.Tenant),
		Runaway: admission.Runaway{TokensPerMinute: r.TokensPerMinute, Factor: r.Factor, Least: r.LeastTokensPerMinute, Alarm: a.runaway},
	}
}

func callerLimits(l *config.CallerLimits) directory.Limits { return directory.Limits(*l) }

// restoreWait bounds how long a start waits for what was spent. A ledger with a
// million requests that no store has taken is read in a few seconds.
const restoreWait = time.Second

// restore tells the limiter what was spent before, and then lets the drain
// begin. If it cannot be read, the drain begins all the same, since records must
// not wait for it, and the books are asked once it has counted all.
func (a *app) restore(ctx context.Context, known chan<- struct{}) {
	defer crash.Exit()
	defer close(known)
	now := time.Now()
	rows, err := a.meter.spent.Before(ctx, a.meter.journal, 0) // all that is kept: the clock may be wrong still
	a.meter.begin()
	for failing := false; err != nil; time.Sleep(time.Second) {
		if !failing {
			a.log.Error().Err(err).Msg("what was spent is not known; tokens with a budget get 503 until it is")
			failing = true
		}
		if err = a.meter.drain.Flush(ctx); err == nil {
			rows, err = a.meter.spent.Since(ctx, 0)
		}
	}
	a.admission.Restore(rows, now)
}

// stopTime bounds the writing of a stop.
const stopTime = 10 * time.Second

// runaway tells of a token that spends too fast, and stops it if the operator
// wants that.
func (a *app) runaway(s admission.Spree) {
	stopped := false
	if a.now().Runaway.Stop {
		ctx, done := context.WithTimeout(context.Background(), stopTime)
		defer done()
		reason := fmt.Sprintf("runaway: %d tokens in a minute", s.TokensPerMinute)
		if _, err := a.directory.StopToken(ctx, s.Tenant, s.Token, reason); err != nil {
			a.log.Error().Err(err).Str("tenant", s.Tenant).Str("token", s.Token).Msg("cannot stop a token that runs away")
		} else {
			stopped = true
		}
	}
	a.log.Warn().Str("tenant", s.Tenant).Str("token", s.Token).Int64("tokens_per_minute", s.TokensPerMinute).
		Int64("usual_tokens_per_minute", s.Usual).Bool("stopped", stopped).Msg("a token's spending runs away")
	a.runaways.Inc()
	a.webhook.send(&alarm{
		Event: "runaway", At: s.At, Tenant: s.Tenant, Token: s.Token, TokensPerMinute: s.TokensPerMinute, Usual: s.Usual, Stopped: stopped,
	})
}
