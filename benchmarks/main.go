package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// commands of the benchmark.
type commands struct {
	Run    runCmd    `cmd:"" default:"withargs" help:"Measure, and write JSON, a table and plots."`
	Peers  peersCmd  `cmd:"" help:"Install the other gateways from their public sources, outside of the repository."`
	Report reportCmd `cmd:"" help:"Make table and plots again from a run's JSON."`
}

func main() {
	k := kong.Parse(&commands{}, kong.Name("benchmarks"), kong.Description("Ownkey side by side with plain proxies and other gateways."))
	k.FatalIfErrorf(k.Run())
}

type runCmd struct {
	Quick      bool     `help:"A smoke test of all of it: every scenario, short."`
	Contenders []string `placeholder:"NAME,..." help:"Only these. direct is always among them."`
	Scenarios  []string `placeholder:"NAME,..." help:"Only these: unary, ladder, bodies, streams, open, aborts, outages, growth."`
	Out        string   `default:"benchmarks/results" type:"path" placeholder:"DIR" help:"Where results go."`
	PeersDir   string   `default:"~/.cache/ownkey-benchmarks" type:"path" placeholder:"DIR" env:"OWNKEY_BENCH_PEERS" help:"Where other gateways are installed."`
	Profiles   string   `type:"existingdir" placeholder:"DIR" help:"Leave CPU profiles of Ownkey there, one a scenario. Taking them costs it a little."`
}

// Run measures.
func (c *runCmd) Run() (err error) {
	e := &thorough
	if c.Quick {
		e = &quick
	}
	all, err := c.chosen(contenders())
	if err != nil {
		return err
	}
	todo, err := c.todo()
	if err != nil {
		return err
	}
	const garbage = 400 // percent: the load has memory, and its pauses are the contenders' latency
	debug.SetGCPercent(garbage)
	b, err := makeBed(c.PeersDir)
	if err != nil {
		return err
	}
	defer b.close()
	now := time.Now().UTC()
	r := &report{Date: now, Commit: commit(), Command: strings.Join(append([]string{"go run ./benchmarks"}, os.Args[1:]...), " "), Machine: thisMachine()}
	m := &measurer{bed: b, report: r, profiles: c.Profiles}
	defer m.stop()
	ctx := context.Background()
	go func() {
		interrupted, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		<-interrupted.Done()
		m.stop()
		b.close()
		os.Exit(1)
	}()
	if err := m.start(ctx, all); err != nil {
		return err
	}
	r.Machine.Stalls = stallsOf(contenderCore)
	failed := m.carryOut(ctx, todo, e) // what was measured until then is kept
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return errors.Join(failed, err)
	}
	path := filepath.Join(c.Out, now.Format("2006-01-02")+"-"+r.Commit)
	fmt.Fprintf(os.Stderr, "\n%s.md\n", path)
	return errors.Join(failed, r.write(path), r.faults())
}

// carryOut runs the scenarios, and compares the books at the end.
func (m *measurer) carryOut(ctx context.Context, todo []scenario, e *effort) error {
	for _, s := range todo {
		fmt.Fprintf(os.Stderr, "\n%s: %s\n", s.name, s.about)
		if err := s.run(m, e); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return m.books(ctx, m.running...)
}

func (c *runCmd) chosen(all []contender) (chosen []contender, err error) {
	if len(c.Contenders) == 0 {
		return all, nil
	}
	for _, a := range all {
		if a.name == nameDirect || slices.Contains(c.Contenders, a.name) {
			chosen = append(chosen, a)
		}
	}
	for _, name := range c.Contenders {
		if !slices.ContainsFunc(all, func(a contender) bool { return a.name == name }) {
			return nil, fmt.Errorf("--contenders: there is none named %q", name)
		}
	}
	return chosen, nil
}

func (c *runCmd) todo() (todo []scenario, err error) {
	if len(c.Scenarios) == 0 {
		return scenarios, nil
	}
	for _, s := range scenarios {
		if slices.Contains(c.Scenarios, s.name) {
			todo = append(todo, s)
		}
	}
	if len(todo) < len(c.Scenarios) {
		return nil, fmt.Errorf("--scenarios: not all of %v are scenarios", c.Scenarios)
	}
	return todo, nil
}

type peersCmd struct {
	Names    []string `arg:"" optional:"" help:"Which; all when not given."`
	PeersDir string   `default:"~/.cache/ownkey-benchmarks" type:"path" placeholder:"DIR" env:"OWNKEY_BENCH_PEERS" help:"Where to."`
}

// Run installs, and goes on when one can not be had.
func (c *peersCmd) Run() error {
	failed := 0
	for _, p := range peers {
		if len(c.Names) > 0 && !slices.Contains(c.Names, p.name) {
			continue
		}
		if err := p.install(c.PeersDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d could not be installed", failed)
	}
	return nil
}

type reportCmd struct {
	File string `arg:"" type:"existingfile" help:"JSON of a run."`
}

// Run renders.
func (c *reportCmd) Run() error {
	r, err := readReport(c.File)
	if err != nil {
		return err
	}
	return r.render(strings.TrimSuffix(c.File, ".json"))
}
