// Filled prints what work on full stores costs as they grow: for each store a
// Markdown table of sizes doubled, the ratio of the last doubling, and the
// processor's time and bytes at the largest size.
//
//	go run ./benchmarks/filled                 # all stores, half an hour
//	go run ./benchmarks/filled bucket invoice  # these
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// store is one that is filled, and the work on it.
type store struct {
	name string
	of   string // what its size counts
	most int    // the largest size, of which a half and a quarter are measured too
	work func(b *bed, n int) error
}

var stores = []store{
	{"directory", "tokens of a tenth as many tenants", 1_000_000, directoryOf},
	{"bucket", "memories in a bucket", 300_000, bucketOf},
	{"usage", "tenants' month of sums by hour", 10_000, usageOf},
	{"evidence", "calls of a tenant, each under another organization", 200_000, evidenceOf},
	{"invoice", "memory events over 24 months", 2_000_000, invoiceOf},
	{"backlog", "requests waiting in the ledger", 1_200_000, backlogOf},
}

// at measures the work on a store of a size.
func (s *store) at(ctx context.Context, n int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "ownkey-filled-")
	if err != nil {
		return nil, err
	}
	b := &bed{ctx: ctx, dir: dir}
	err = s.work(b, n)
	return b.figures, errors.Join(err, os.RemoveAll(dir))
}

// print measures a store at its sizes and prints them.
func (s *store) print(ctx context.Context) error {
	sizes := []int{s.most / 4, s.most / 2, s.most}
	var all [][]figure
	for _, n := range sizes {
		figures, err := s.at(ctx, n)
		if err != nil {
			return fmt.Errorf("%s of %d: %w", s.name, n, err)
		}
		all = append(all, figures)
	}
	fmt.Printf("\n| %s: %s |", s.name, s.of)
	for _, n := range sizes {
		fmt.Printf(" %d |", n)
	}
	fmt.Println(" last doubling | processor |\n| --- |" + strings.Repeat(" ---: |", len(sizes)+2))
	last := len(sizes) - 1
	for i, first := range all[0] {
		fmt.Printf("| %s |", first.what)
		for _, figures := range all {
			fmt.Printf(" %s |", figures[i])
		}
		fmt.Printf(" %.1f | %s |\n", all[last][i].value()/all[last-1][i].value(), all[last][i].processor())
	}
	return nil
}

func run(ctx context.Context, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(stores, func(s store) bool { return s.name == name }) {
			return fmt.Errorf("there is no store %q", name)
		}
	}
	for _, s := range stores {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if err := s.print(ctx); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
