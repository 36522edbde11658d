package hostile_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/hostile"
)

// attackTime is how long the attacks go on beside a gateway that serves; it is
// restarted twice in between. make hostile sets OWNKEY_HOSTILE_TIME to a minute.
var attackTime = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("OWNKEY_HOSTILE_TIME")); err == nil {
		return d
	}
	return 20 * time.Second
}()

func TestOneTenantNeverReachesAnother(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { besideAttack(t, newBed(t, "")) })
	t.Run("clickhouse", func(t *testing.T) {
		engine, err := clickhouseserver.Start(t.Context(), clickhouseserver.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = engine.Kill() })
		besideAttack(t, newBed(t, fmt.Sprintf("meter: {clickhouse: {url: '%s', timeout: 20s}}\n", engine.URL)))
	})
}

// besideAttack lets one tenant do everything it can, restarts the gateway
// twice meanwhile, and asserts what another tenant saw of it.
func besideAttack(t *testing.T, b *bed) {
	hostile := newHostile(b)
	q := newQuiet(b)
	attack, stopAttack := context.WithCancel(t.Context())
	defer stopAttack()
	calls, stopCalls := context.WithCancel(t.Context())
	defer stopCalls()
	var all sync.WaitGroup
	b.attacker.begin(t, hostile)
	all.Go(func() { q.run(calls) })
	all.Go(func() { watchReadiness(attack, b, q) })

	wait(attack, attackTime/3)
	q.during(func() {
		stopped := b.stop()
		if stopped > drain+ended {
			t.Errorf("it took %v to stop, want %v at most", stopped, drain+ended)
		}
		t.Logf("stopped in %v, started in %v", stopped.Round(time.Millisecond), b.start().Round(time.Millisecond))
	})
	wait(attack, attackTime/3)
	q.during(func() {
		b.kill()
		t.Logf("killed, started in %v", b.start().Round(time.Millisecond))
	})
	wait(attack, attackTime/3)
	stopAttack()
	attacked := b.attacker.stop(t)
	wait(calls, 2*time.Second) // after the attack, too
	stopCalls()
	all.Wait()

	for _, name := range slices.Sorted(maps.Keys(attacked.Counts)) {
		t.Logf("%-36s %v", name, attacked.Counts[name])
	}
	t.Logf("the hostile provider answered %d calls", attacked.Answered)
	if attacked.Answered == 0 {
		t.Error("no attack reached the hostile provider")
	}
	for end := time.Now().Add(arrival); q.late() > 0 && time.Now().Before(end); wait(t.Context(), lookPause) {
		q.look(t.Context())
	}
	q.check(t)
}

// watchReadiness wants /readyz to say that calls can be served and that records
// move, since they can and do.
func watchReadiness(ctx context.Context, b *bed, q *quiet) {
	for ctx.Err() == nil {
		q.pause.RLock()
		status, parts := b.ready()
		if status != http.StatusOK || parts["store"] != "ok" || parts["keyring"] != "ok" || parts["ledger"] != "ok" || parts["records"] == "late" {
			q.failed("/readyz: %d %v", status, parts)
		}
		q.pause.RUnlock()
		wait(ctx, time.Second)
	}
}

func newHostile(b *bed) *hostile.Tenant {
	b.t.Helper()
	b.want("POST", "/tenants", map[string]any{"id": "hostile"}, nil)
	b.want("PUT", "/tenants/hostile/credentials/own/default", map[string]any{"secret": "sk-own"}, nil)
	b.want("PATCH", "/tenants/hostile", map[string]any{
		"default_provider": "own",
		"memory":           map[string]any{"embeddings_model": "act-lie-", "extraction_model": "own/x", "capture_assistant": true},
	}, nil)
	a := &hostile.Tenant{BaseURL: "http://" + b.listen + "/v1"}
	for token, ask := range map[*string]map[string]any{
		&a.Token:    {"label": "all"},
		&a.Budgeted: {"label": "budgeted", "limits": map[string]any{"tokens_per_day": 1_000_000_000_000_000}},
		&a.Listed:   {"label": "listed", "models": []string{"only-this"}},
	} {
		var made struct{ Token string }
		b.want("POST", "/tenants/hostile/tokens", ask, &made)
		*token = made.Token
	}
	return a
}
