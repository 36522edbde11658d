package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ownkey/ownkey/benchmarks/load"
	"golang.org/x/sys/unix"
)

// scenario is a set of runs, in which contenders take turns.
type scenario struct {
	name  string
	about string
	run   func(m *measurer, e *effort) error
}

// effort is how much of everything is done.
type effort struct {
	rounds  int
	during  time.Duration
	shares  []float64 // of saturation
	streams []streaming
	open    []int // streams that stay
	growth  []grownBy
}

// streaming is a number of streams open on average, with a gap between chunks.
type streaming struct {
	gap  time.Duration
	open int
}

// grownBy is a gateway that holds more of something.
type grownBy struct {
	what string
	n    int
}

const (
	grownTenants  = "tenants"
	grownTokens   = "tokens"
	grownMemories = "memories"
)

var (
	thorough = effort{
		rounds: 3, during: 2500 * time.Millisecond, shares: []float64{0.1, 0.25, 0.5, 0.75, 1, 1.2},
		streams: []streaming{{10 * time.Millisecond, 100}, {50 * time.Millisecond, 1000}},
		open:    []int{100, 1000, 10_000},
		growth: []grownBy{
			{grownTenants, 1},
			{grownTenants, 1000},
			{grownTenants, 100_000},
			{grownTokens, 1},
			{grownTokens, 1000},
			{grownTokens, 100_000},
			{grownMemories, 100},
			{grownMemories, 1000},
			{grownMemories, 10_000},
			{grownMemories, 100_000},
		},
	}
	quick = effort{rounds: 1, during: 700 * time.Millisecond, shares: []float64{0.5}, streams: []streaming{{10 * time.Millisecond, 50}}, open: []int{100}, growth: []grownBy{{grownTenants, 100}}}
)

const (
	kib      = 1 << 10
	mib      = 1 << 20
	chunks   = 100
	patience = 2 * time.Second
	warmUp   = 400 * time.Millisecond
	half     = 0.5
	high     = 0.99
)

var scenarios = []scenario{
	{"unary", "1 KB asked, 1 KB answered, as many as come back on 64 connections", unary},
	{"ladder", "the same, offered at shares of what each contender can do", ladder},
	{"bodies", "bodies of 32 KB, 400 KB and 8 MB", bodies},
	{"streams", "100 chunks, at once or 10 or 50 ms apart", streams},
	{"open", "streams that stay open", open},
	{"aborts", "clients that go amid the stream, providers that never answer", aborts},
	{"outages", "Vault sealed and ClickHouse down amid the run", outages},
	{"growth", "more tenants, tokens, memories", growth},
}

// turns gives every contender its turn in each round, but for those that are
// only parts.
func (m *measurer) turns(rounds int, f func(s *standing, round int) error) error {
	return m.turnsOfAll(rounds, func(s *standing, round int) error {
		if s.part {
			return nil
		}
		return f(s, round)
	})
}

func (m *measurer) turnsOfAll(rounds int, f func(s *standing, round int) error) error {
	for round := range rounds {
		for _, s := range m.running {
			if err := f(s, round); err != nil {
				return err
			}
		}
	}
	return nil
}

func unary(m *measurer, e *effort) error {
	const connections = 64
	rates := map[string][]float64{}
	err := m.turnsOfAll(e.rounds, func(s *standing, round int) error {
		p := load.Plan{Call: load.Call{BodyBytes: kib}, Connections: connections, During: e.during, Patience: patience}
		got, err := m.run(s, p, sample{Scenario: "unary 1 KB", Round: round})
		if err == nil {
			rates[s.name] = append(rates[s.name], got.Result.Rate())
		}
		return err
	})
	for _, s := range m.running {
		s.saturation = median(rates[s.name])
	}
	return err
}

// ladder offers shares of saturation, and the same rates to the provider itself:
// the difference is what a contender adds. Half of saturation comes in every
// round, since a tail of one run says more about the machine.
func ladder(m *measurer, e *effort) error {
	const connections = 256
	direct := m.of(nameDirect)
	return m.turns(e.rounds, func(s *standing, round int) error {
		if s == direct || s.saturation == 0 {
			return nil
		}
		for _, share := range e.shares {
			if round > 0 && share != half {
				continue
			}
			p := load.Plan{Call: load.Call{BodyBytes: kib}, Rate: share * s.saturation, Connections: connections, During: e.during + warmUp, WarmUp: warmUp, Patience: patience}
			if _, err := m.run(s, p, sample{Scenario: "ladder", Round: round, Share: share}); err != nil {
				return err
			}
			p.During = e.during/2 + warmUp
			if _, err := m.run(direct, p, sample{Scenario: "ladder beside " + s.name, Round: round, Share: share}); err != nil {
				return err
			}
		}
		return nil
	})
}

func bodies(m *measurer, e *effort) error {
	for _, b := range []struct {
		name               string
		bytes, connections int
	}{{"unary 32 KB", 32 * kib, 16}, {"unary 400 KB", 400 * kib, 16}, {"unary 8 MB", 8 * mib, 4}} {
		err := m.turns((e.rounds+1)/2, func(s *standing, round int) error {
			p := load.Plan{Call: load.Call{BodyBytes: b.bytes}, Connections: b.connections, During: e.during / 2, Patience: patience}
			_, err := m.run(s, p, sample{Scenario: b.name, Round: round})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func streams(m *measurer, e *effort) error {
	const connections, most = 64, 4096
	call := load.Call{BodyBytes: kib, Chunks: chunks}
	err := m.turns((e.rounds+1)/2, func(s *standing, round int) error {
		p := load.Plan{Call: call, Connections: connections, During: e.during, Patience: patience}
		_, err := m.run(s, p, sample{Scenario: "SSE 0 ms", Round: round})
		return err
	})
	for _, w := range e.streams {
		if err != nil {
			break
		}
		lasts := chunks * w.gap
		call.Gap = int64(w.gap)
		err = m.turns(1, func(s *standing, round int) error {
			p := load.Plan{Call: call, Connections: most, Rate: float64(w.open) / lasts.Seconds(), During: max(e.during, lasts) + warmUp, WarmUp: warmUp, Patience: patience + lasts}
			_, err := m.run(s, p, sample{Scenario: fmt.Sprintf("SSE %d ms", w.gap.Milliseconds()), Round: round, Number: w.open})
			return err
		})
	}
	return err
}

// open holds streams that have begun and stay, and sees what they cost.
func open(m *measurer, e *effort) error {
	const toOpen = 3 * time.Second
	for _, n := range e.open {
		err := m.turns(1, func(s *standing, _ int) error {
			open := min(n, mostStreams()) // what idle connections of others leave
			p := load.Plan{Call: load.Call{BodyBytes: kib, Chunks: chunks, Hold: true}, Connections: open, During: toOpen + time.Duration(n)*time.Millisecond/4}
			_, err := m.run(s, p, sample{Scenario: "open streams", Number: n})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func aborts(m *measurer, e *effort) error {
	const open, connections, leaving, silent, giveUp = 100, 1024, 0.05, 0.01, 500 * time.Millisecond
	const gap = 10 * time.Millisecond
	return m.turns((e.rounds+1)/2, func(s *standing, round int) error {
		p := load.Plan{
			Call: load.Call{BodyBytes: kib, Chunks: chunks, Gap: int64(gap)}, Rate: open / (chunks * gap).Seconds(), Connections: connections,
			During: e.during, Patience: patience, Abort: leaving, Silent: silent, GiveUp: giveUp,
		}
		_, err := m.run(s, p, sample{Scenario: "aborts", Round: round})
		return err
	})
}

// outages: Vault is sealed, and ClickHouse's process is gone, each for a third
// of the run.
func outages(m *measurer, e *effort) error {
	s := m.of(nameOwnkey)
	if s == nil {
		return nil
	}
	ctx := context.Background()
	const connections, share = 1024, 0.3
	for _, o := range []struct {
		name        string
		ends, comes func() error
	}{
		{"Vault sealed", func() error { return m.vault.Seal(ctx) }, func() error { return m.vault.Unseal(ctx) }},
		{"ClickHouse down", m.engine.Kill, func() error { return m.engine.Restart(ctx) }},
	} {
		over := make(chan error, 2)
		third := max(e.during, 2*time.Second)
		began, ended := false, false
		p := load.Plan{Call: load.Call{BodyBytes: kib}, Rate: max(100, share*s.saturation), Connections: connections, During: 3 * third, Patience: patience}
		p.Each = func(since time.Duration) {
			switch { // beside the load, which is this goroutine
			case !began && since >= third:
				began = true
				go func() { over <- o.ends() }()
			case !ended && since >= 2*third:
				ended = true
				go func() { over <- o.comes() }()
			}
		}
		if _, err := m.run(s, p, sample{Scenario: o.name, Share: share}); err != nil {
			return err
		}
		for range 2 {
			if err := <-over; err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
		}
	}
	return nil
}

// growth starts gateways with more of something, one after the other.
func growth(m *measurer, e *effort) error {
	for _, g := range e.growth {
		if err := m.grown(g, e); err != nil {
			return fmt.Errorf("%d %s: %w", g.n, g.what, err)
		}
	}
	return nil
}

func (m *measurer) grown(g grownBy, e *effort) error {
	const connections = 64
	o := ownkey{cacheTTL: cacheTTL, clickHouse: true}
	switch g.what {
	case grownTenants:
		o.tenants = g.n
	case grownTokens:
		o.tokens = g.n
	case grownMemories:
		o.memories = g.n
	}
	name := fmt.Sprintf("grown-%s-%d", g.what, g.n)
	if err := m.start(context.Background(), []contender{{name: name, about: fmt.Sprintf("local key, ClickHouse, %d %s", g.n, g.what), kind: kindOwnkey, start: o.start}}); err != nil {
		return err
	}
	s := m.of(name)
	for round := range (e.rounds + 1) / 2 {
		p := load.Plan{Call: load.Call{BodyBytes: kib}, Connections: connections, During: e.during, Patience: patience}
		if _, err := m.run(s, p, sample{Scenario: "grown " + g.what, Round: round, Number: g.n}); err != nil {
			return err
		}
	}
	if err := m.books(context.Background(), s); err != nil {
		return err
	}
	s.stop()
	m.running = slices.DeleteFunc(m.running, func(other *standing) bool { return other == s })
	return nil
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// mostStreams is how many this process can have besides what it has open, since
// it holds both ends of each; a gateway needs as many.
func mostStreams() int {
	const spare = 400
	var limit unix.Rlimit
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return (int(limit.Cur) - len(open) - spare) / 2
}
