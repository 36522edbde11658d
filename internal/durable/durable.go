// Package durable puts files in place so that they survive loss of power: whole
// or not at all.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile writes a file that only its owner can read, in place of one that is
// there. When it returns without an error, the content and the name are on the
// disk; before that, the file is as it was.
func WriteFile(path string, content []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
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
