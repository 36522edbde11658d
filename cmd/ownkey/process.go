package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

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
