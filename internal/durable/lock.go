package durable

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrInUse means that another process has the directory.
var ErrInUse = errors.New("directory is in use by another process")

// lockFile has the number of the process that holds the lock. The file stays:
// only the kernel's lock on it counts, and that ends with the process, however
// it ends.
const lockFile = "lock"

// Lock is a directory that no other process may use.
type Lock struct{ file *os.File }

// LockDir takes a directory, which is made if need be, for this process alone.
// ErrInUse means that another process has it; the error says which, as far as
// that is known. Filesystems without flock(2) are refused.
func LockDir(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make directory: %w", err)
	}
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = inUse(path)
		}
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", dir, err), f.Close())
	}
	l := &Lock{f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", dir, err), f.Close())
	}
	return l, nil
}

// inUse names the process that has the lock.
func inUse(path string) error {
	b, err := os.ReadFile(path)
	pid, perr := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || perr != nil {
		return ErrInUse
	}
	return fmt.Errorf("%w, number %d: one gateway has a data directory to itself", ErrInUse, pid)
}

// sign writes this process's number.
func (l *Lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Close gives the directory free.
func (l *Lock) Close() error { return l.file.Close() }
