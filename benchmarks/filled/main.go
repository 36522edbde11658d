// Filled prints what work on full stores costs as they grow: a Markdown table of
// sizes doubled, and the ratio of the last doubling.
//
//	go run ./benchmarks/filled
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fill"
)

// sizes are the numbers of tenants; all else goes with them.
var sizes = []int{2_500, 5_000, 10_000}

// rounds of each measurement, of which the shortest counts.
const rounds = 5

// bed is a full store.
type bed struct {
	ctx      context.Context
	dir      string
	database *db.DB
	figures  []figure
}

// figure is what something took.
type figure struct {
	what string
	took time.Duration
}

// measure notes the shortest of some rounds of work.
func (b *bed) measure(what string, rounds int, work func() error) error {
	best := time.Duration(1<<63 - 1)
	for range rounds {
		began := time.Now()
		if err := work(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		best = min(best, time.Since(began))
	}
	b.figures = append(b.figures, figure{what, best})
	return nil
}

// on runs work with a database of its own.
func (b *bed) on(name string, work func() error) error {
	database, err := db.Open(b.ctx, filepath.Join(b.dir, name))
	if err != nil {
		return err
	}
	b.database = database
	return errors.Join(work(), database.Close())
}

// at measures everything with so many tenants.
func at(ctx context.Context, tenants int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "ownkey-filled-")
	if err != nil {
		return nil, err
	}
	b := &bed{ctx: ctx, dir: dir}
	err = errors.Join(
		b.on("directory.db", func() error { return b.directory(tenants, 10*tenants) }),
		b.on("memory.db", func() error { return b.memories(2 * tenants) }),
		b.on("usage.db", func() error {
			return b.usage(fill.Size{Tenants: max(1, tenants/50), Tokens: 10, Hours: 24, From: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -2)})
		}),
	)
	return b.figures, errors.Join(err, os.RemoveAll(dir))
}

func run() error {
	var all [][]figure
	for _, size := range sizes {
		figures, err := at(context.Background(), size)
		if err != nil {
			return err
		}
		all = append(all, figures)
	}
	fmt.Print("| work |")
	for _, size := range sizes {
		fmt.Printf(" %d tenants |", size)
	}
	fmt.Print(" last doubling |\n| --- |")
	for range len(sizes) + 1 {
		fmt.Print(" ---: |")
	}
	fmt.Println()
	last := len(all) - 1
	for i, first := range all[0] {
		fmt.Printf("| %s |", first.what)
		for _, figures := range all {
			fmt.Printf(" %v |", figures[i].took.Round(time.Microsecond))
		}
		fmt.Printf(" %.1f |\n", float64(all[last][i].took)/float64(all[last-1][i].took))
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
