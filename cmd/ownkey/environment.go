package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// blank overwrites values in the process's own argument and environment area,
// which the kernel shows to others as /proc/PID/cmdline and /proc/PID/environ
// for as long as the process lives. What Go has copied of it stays. It has to
// come before sealProcess, which closes /proc/self/mem.
func blank(values ...string) error {
	if len(values) == 0 {
		return nil
	}
	from, to, err := argumentArea()
	if err != nil {
		return fmt.Errorf("cannot find the arguments in memory: %w", err)
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot open the process's memory: %w", err)
	}
	defer memory.Close() //nolint:errcheck // nothing is buffered
	area := make([]byte, to-from)
	if _, err := memory.ReadAt(area, from); err != nil {
		return fmt.Errorf("cannot read the arguments: %w", err)
	}
	defer clear(area)
	for _, value := range values {
		for at := 0; value != ""; at += len(value) {
			next := bytes.Index(area[at:], []byte(value))
			if next < 0 {
				break
			}
			at += next
			if _, err := memory.WriteAt(bytes.Repeat([]byte("x"), len(value)), from+int64(at)); err != nil {
				return fmt.Errorf("cannot overwrite an argument: %w", err)
			}
		}
	}
	return nil
}

// argumentArea is where arguments and environment lie: arg_start and env_end of
// proc_pid_stat(5), fields 48 and 51.
func argumentArea() (from, to int64, err error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold spaces
	fields := strings.Fields(rest)
	const first = 3 // the number of fields[0]
	if len(fields) <= 51-first {
		return 0, 0, unix.ENOTSUP
	}
	if from, err = strconv.ParseInt(fields[48-first], 10, 64); err != nil {
		return 0, 0, err
	}
	if to, err = strconv.ParseInt(fields[51-first], 10, 64); err != nil || from <= 0 || to <= from {
		return 0, 0, unix.ENOTSUP
	}
	return from, to, nil
}
