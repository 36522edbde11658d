package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/hostile"
)

// minuteRate is what the second tenant sends.
const minuteRate = 100

// minute measures a tenant alone, and beside one that does everything it can.
// internal/hostile asserts that the second one loses nothing; how slow it gets
// depends on the machine, so that is measured here. With the beginning of an
// attack's name it does that one only, for a quarter of a minute.
func minute(b *bed, args []string) error {
	attacker, err := b.attacker()
	if err != nil {
		return err
	}
	long := time.Minute
	if attacker.Only = strings.Join(args, " "); attacker.Only != "" {
		long /= 4
	}
	_ = b.load(minuteRate, 3*time.Second, b.ready.Token)
	work := b.watch()
	wait, err := b.loadApart(quietTime)
	if err != nil {
		return err
	}
	alone, err := wait()
	if err != nil {
		return err
	}
	fmt.Printf("alone, %d requests/s: %s; resident %d MiB; %s\n", minuteRate, alone, b.resident()>>20, work())
	if wait, err = b.loadApart(long - 3*time.Second); err != nil {
		return err
	}
	if err := lowest(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	done := make(chan map[string]map[int]int, 1)
	go func() { done <- attacker.Run(ctx) }()
	work = b.watch()
	beside, err := wait()
	during, busy := b.resident(), work()
	counts := <-done
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf("  %-36s %v\n", name, counts[name])
	}
	fmt.Printf("beside the hostile tenant: %s; resident %d MiB; %s\n", beside, during>>20, busy)
	fmt.Printf("p99 × %.2f (aim ≤ 2)\n", float64(beside.at(.99))/float64(alone.at(.99)))
	return nil
}

// watch begins to count who has the CPUs. A second tenant that gets slow may wait
// for the gateway, or for a machine that the attacker's own programs keep busy.
func (b *bed) watch() func() string {
	began, gateway, here := time.Now(), b.worked(), workedHere()
	return func() string {
		all := float64(time.Since(began)) * float64(runtime.NumCPU()) / 100
		return fmt.Sprintf("of the CPUs the gateway had %.0f %%, the attacker and its provider %.0f %%", float64(b.worked()-gateway)/all, float64(workedHere()-here)/all)
	}
}

// attacker makes a tenant with a provider of its own.
func (b *bed) attacker() (*hostile.Tenant, error) {
	a := &hostile.Tenant{BaseURL: b.ready.BaseURL}
	err := errors.Join(
		b.admin("POST", "/tenants", map[string]any{"id": "hostile"}, nil),
		b.admin("PUT", "/tenants/hostile/credentials/own/default", map[string]any{"secret": "sk-own"}, nil),
		b.admin("PATCH", "/tenants/hostile", map[string]any{"default_provider": "own", "limits": map[string]any{"requests_in_flight": 200}}, nil),
	)
	for token, ask := range map[*string]map[string]any{
		&a.Token:    {"label": "all"},
		&a.Budgeted: {"label": "budgeted", "limits": map[string]any{"tokens_per_day": 1_000_000_000_000_000}},
		&a.Listed:   {"label": "listed", "models": []string{"only-this"}},
	} {
		var made struct{ Token string }
		err = errors.Join(err, b.admin("POST", "/tenants/hostile/tokens", ask, &made))
		*token = made.Token
	}
	return a, err
}
