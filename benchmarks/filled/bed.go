package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// rounds of each measurement, of which the shortest counts.
const rounds = 5

// bed is where a store lies, and what was measured.
type bed struct {
	ctx     context.Context
	dir     string
	figures []figure
}

// figure is what something took: time, or bytes.
type figure struct {
	what      string
	took, cpu time.Duration
	bytes     int64
}

// value is the figure as a number.
func (f figure) value() float64 {
	if f.bytes > 0 {
		return float64(f.bytes)
	}
	return float64(f.took)
}

func (f figure) String() string {
	switch {
	case f.bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(f.bytes)/1e6)
	case f.bytes > 0:
		return fmt.Sprintf("%.1f kB", float64(f.bytes)/1e3)
	}
	return short(f.took)
}

// processor is what all threads of the process needed meanwhile.
func (f figure) processor() string {
	if f.cpu == 0 {
		return ""
	}
	return short(f.cpu)
}

// short prints three digits.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// measure notes the shortest of some rounds of work.
func (b *bed) measure(what string, rounds int, work func() error) error {
	best := figure{what: what, took: 1<<63 - 1}
	for range rounds {
		began, cpu := time.Now(), spentCPU()
		if err := work(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if took := time.Since(began); took < best.took {
			best.took, best.cpu = took, spentCPU()-cpu
		}
	}
	b.figures = append(b.figures, best)
	return nil
}

// spentCPU is what the process has used of its processors.
func spentCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap is what the process holds.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// held notes how much more is held than before.
func (b *bed) held(what string, before int64) {
	b.figures = append(b.figures, figure{what: what, bytes: max(1, heap()-before)})
}

// onDisk notes the bytes of all files.
func (b *bed) onDisk() error {
	sum := int64(1)
	err := filepath.WalkDir(b.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	b.figures = append(b.figures, figure{what: "bytes on disk", bytes: sum})
	return err
}

// on runs work with a database of its own.
func (b *bed) on(name string, work func(database *db.DB) error) error {
	database, err := db.Open(b.ctx, filepath.Join(b.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(work(database), database.Close())
}

// all does one thing after the other, until one fails.
func all(work ...func() error) error {
	for _, do := range work {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
