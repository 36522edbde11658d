// Command recall measures how well and how fast memories are found, on LoCoMo
// and beside other engines. Its tables are markdown.
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
	data   string
	minilm bool
}

func main() {
	var s settings
	flag.StringVar(&s.data, "data", "../shared/data/locomo10.json", "LoCoMo's data file (snap-research/LoCoMo, data/locomo10.json; CC BY-NC 4.0)")
	flag.BoolVar(&s.minilm, "minilm", false, "with vectors of all-MiniLM-L6-v2, too: installs it into .tools the first time")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "go run ./benchmarks/recall [flags] [quality|tune|latency|tokens]...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(context.Background(), &s, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "recall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *settings, which []string) error {
	all := map[string]func(context.Context, *settings, []conversation) error{"quality": quality, "tune": tune, "latency": latencies, "tokens": tokens}
	if len(which) == 0 {
		which = []string{"quality", "latency", "tokens"}
	}
	conversations, err := readLoCoMo(s.data)
	if err != nil {
		return fmt.Errorf("cannot read LoCoMo: %w", err)
	}
	fmt.Printf("%s, %s/%s, %d CPUs, %s, commit %s\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), commit())
	for _, name := range which {
		if all[name] == nil {
			return fmt.Errorf("there is no measurement %q", name)
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
