package main

import (
	"fmt"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// reservedDescriptors are for what is not a connection of the data plane:
// databases, ledger, admin plane, Vault, ClickHouse. A process at rest has about
// 40.
const reservedDescriptors = 128

// fitConnections gives the number of client connections that the process can
// hold open, most at most: each may need a second descriptor, for its provider.
// A limit that does not fit is lowered, with a line in the log; one that leaves
// no room for a connection is an error.
func fitConnections(most int64, log *zerolog.Logger) (int, error) {
	var limit unix.Rlimit // Go has raised the soft limit to the hard one
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	fitting := connectionsFor(limit.Cur)
	if fitting < 1 {
		return 0, fmt.Errorf("the limit of open files is %d, which is too few: raise it to %d at least (ulimit -n, LimitNOFILE=)", limit.Cur, reservedDescriptors+2)
	}
	if most <= fitting {
		return int(most), nil
	}
	log.Warn().Uint64("open_files", limit.Cur).Int64("max_connections", most).Int64("used", fitting).
		Msg("limits.max_connections is lowered: each connection may need two open files, and the process may not have as many; raise ulimit -n or LimitNOFILE=")
	return int(fitting), nil
}

// connectionsFor is how many client connections fit into a number of
// descriptors.
func connectionsFor(descriptors uint64) int64 {
	if descriptors > 1<<40 { // unlimited
		descriptors = 1 << 40
	}
	return (int64(descriptors) - reservedDescriptors) / 2
}
