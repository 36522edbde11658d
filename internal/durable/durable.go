// Package durable puts files in place so that they survive loss of power: whole
// or not at all.
package durable

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/ownkey/ownkey/internal/pace"
)

// WriteFile writes a file that only its owner can read, in place of one that is
// there: parts, one after the other. When it returns without an error, the
// content and the name are on the disk; before that, the file is as it was.
func WriteFile(path string, parts ...[]byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var pace pace.Pace
	for i := 0; i < len(parts) && err == nil; i++ {
		err = pace.Bytes(parts[i], func(b []byte) error {
			_, err := f.Write(b)
			return err
		})
	}
	if err := errors.Join(err, Sync(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(Sync(d), d.Close())
}
