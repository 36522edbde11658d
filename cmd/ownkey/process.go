package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"golang.org/x/sys/unix"
)

// endTime is what the end of the process takes at most when the time for requests
// in flight is over: they are cut, captured turns are stored, records go to their
// store. A disk or a store that is too slow for that has a kill -9's end, which
// loses nothing that was acknowledged.
const endTime = 10 * time.Second

// endWithin ends the process after d, unless ended is called before.
func endWithin(d time.Duration) (ended func()) {
	last := time.AfterFunc(d, func() {
		crash.Say("ownkey: stopping took too long and was broken off; the next start makes up for what is left\n", brokenOff)
		os.Exit(brokenOff)
	})
	return func() { last.Stop() }
}

// brokenOff is the exit status of a process whose end was broken off.
const brokenOff = 1

// sealProcess keeps the memory of this process, which holds plaintext
// credentials for a while, out of files: no core dump, and no other process of
// the same user may read it (prctl(2), PR_SET_DUMPABLE; getrlimit(2)).
func sealProcess() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("cannot turn core dumps off: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot turn core dumps off: %w", err)
	}
	return nil
}
