package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// stalls is what a machine takes of the contenders' core for itself, while they
// all stand: the least that any tail measured on it can be. It is looked for when
// they have been started, since a machine that looks through its memory for pages
// to give back takes the longer, the more is in use.
type stalls struct {
	Share float64       `json:"share"` // of the time
	Worst time.Duration `json:"worst_ns"`
}

// stallsOf looks at the clock on a core, over and over, and adds up the gaps.
func stallsOf(core int) stalls {
	const during, gap = 4 * time.Second, 200 * time.Microsecond
	seen := make(chan stalls)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var set unix.CPUSet
		set.Set(core)
		_ = unix.SchedSetaffinity(0, &set)
		var s stalls
		lost := time.Duration(0)
		began := time.Now()
		for last := began; last.Sub(began) < during; {
			now := time.Now()
			if took := now.Sub(last); took > gap {
				lost += took
				s.Worst = max(s.Worst, took)
			}
			last = now
		}
		s.Share = lost.Seconds() / during.Seconds()
		seen <- s
	}()
	return <-seen
}
