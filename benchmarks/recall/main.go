// Command recall measures how well and how fast memories are found, on LoCoMo, on
// sets of its own and beside other engines. Its tables are markdown. What needs data
// that are not at hand is left out, and a line says how to get them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// settings are the command line.
type settings struct {
	data    string
	beam    string
	realmem string
	minilm  bool
}

func main() {
	var s settings
	flag.StringVar(&s.data, "data", "../shared/data/locomo10.json", "LoCoMo's data file: "+getLoCoMo)
	flag.StringVar(&s.beam, "beam", "../shared/data/BEAM", "directory of BEAM: "+getBEAM)
	flag.StringVar(&s.realmem, "realmem", "../shared/data/RealMemBench", "directory of RealMem: "+getRealMem)
	flag.BoolVar(&s.minilm, "minilm", false, "with vectors of all-MiniLM-L6-v2, too: installs it into .tools the first time")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "go run ./benchmarks/recall [flags] [sets|quality|tune|latency|tokens]...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(context.Background(), &s, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "recall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *settings, which []string) error {
	all := map[string]func(context.Context, *settings, []conversation) error{"sets": setTables, "quality": quality, "tune": tune, "latency": latencies, "tokens": tokens}
	if len(which) == 0 {
		which = []string{"sets", "quality", "latency", "tokens"}
	}
	conversations, err := readLoCoMo(s.data)
	if missing(err) {
		fmt.Println("LoCoMo is not at hand: " + getLoCoMo)
	} else if err != nil {
		return fmt.Errorf("cannot read LoCoMo: %w", err)
	}
	fmt.Printf("%s, %s/%s, %d CPUs, %s, commit %s\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), commit())
	for _, name := range which {
		if all[name] == nil {
			return fmt.Errorf("there is no measurement %q", name)
		}
		if len(conversations) == 0 && name != "sets" {
			continue // all others are of LoCoMo
		}
		fmt.Printf("\n## %s\n\n", name)
		if err := all[name](ctx, s, conversations); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// commit is what lies in the working directory.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
