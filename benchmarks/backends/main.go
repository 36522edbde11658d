package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "provider" {
		serveProvider() // the child process
		return
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(which []string) error {
	all := map[string]func(*bed) error{"vault": vault, "meter": meterCosts}
	if len(which) == 0 {
		which = []string{"vault", "meter"}
	}
	for _, name := range which {
		if all[name] == nil {
			return fmt.Errorf("there is no measurement %q", name)
		}
	}
	b, err := makeBed()
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%s, %s/%s, %d CPUs (%s), commit %s, %s\n\n", time.Now().UTC().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), cpuModel(), commit(), runtime.Version())
	for _, name := range which {
		if err := all[name](b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
