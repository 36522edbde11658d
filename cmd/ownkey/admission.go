package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/meter/spent"
)

// openAdmission makes the limiter and tells it what was spent before.
func (a *app) openAdmission(ctx context.Context) {
	l, r := &a.cfg.Limits, &a.cfg.Runaway
	a.webhook = newWebhook(r.Webhook, r.WebhookSecret, a.log)
	a.admission = admission.New(admission.Options{
		Token: callerLimits(&l.Token), Tenant: callerLimits(&l.Tenant), MaxInFlight: l.MaxRequestsInFlight, QueueTime: l.QueueTime,
		UsableToken:  a.directory.Usable,
		UsableTenant: func(id string) bool { _, err := a.directory.Tenant(id); return err == nil },
		Runaway: admission.Runaway{
			TokensPerMinute: r.TokensPerMinute, Factor: r.Factor, Least: r.LeastTokensPerMinute, Alarm: a.runaway,
		},
	})
	if err := a.restoreSpent(ctx); err != nil {
		a.log.Error().Err(err).Msg("what was spent is not known; tokens with a budget get 503 until it is")
		go a.restoreInTime(context.WithoutCancel(ctx))
	}
}

func callerLimits(l *config.CallerLimits) directory.Limits { return directory.Limits(*l) }

// restoreTime bounds how long a start waits for rows that a dead process left
// in the ledger.
const restoreTime = 10 * time.Second

// restoreSpent reads what tokens have spent, once all rows of earlier processes
// are counted.
func (a *app) restoreSpent(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, restoreTime)
	defer done()
	if err := a.meter.drain.Flush(ctx); err != nil {
		return err
	}
	now := time.Now()
	month := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	rows, err := a.meter.spent.Since(ctx, spent.DayOf(month))
	if err != nil {
		return err
	}
	a.admission.Restore(rows, now)
	return nil
}

// restoreInTime tries until it succeeds or the program ends.
func (a *app) restoreInTime(ctx context.Context) {
	defer crash.Exit()
	for {
		time.Sleep(time.Second)
		if err := a.restoreSpent(ctx); err == nil {
			a.log.Info().Msg("what was spent is known again")
			return
		}
	}
}

// runaway tells of a token that spends too fast, and stops it if the operator
// wants that.
func (a *app) runaway(s admission.Spree) {
	stopped := false
	if a.cfg.Runaway.Stop {
		ctx, done := context.WithTimeout(context.Background(), restoreTime)
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
