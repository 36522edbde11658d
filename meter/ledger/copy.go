package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ownkey/ownkey/internal/durable"
)

// Copied is a file of a ledger as it was at one moment.
type Copied struct {
	// Name is the file's in the ledger's directory.
	Name string
	// Size is how many bytes of it belong to that moment.
	Size int64

	handle *os.File
}

// Reader reads the file from its beginning. It works also after the ledger has
// forgotten the file.
func (c *Copied) Reader() io.Reader { return io.NewSectionReader(c.handle, 0, c.Size) }

// Close lets go of the file.
func (c *Copied) Close() error { return c.handle.Close() }

// copyTries bounds how often the directory is looked at again because a file
// changed its name or was forgotten between two looks.
const copyTries = 100

// OpenCopy opens the ledger in dir as it is at this moment, of a gateway that
// may be running: whole frames, and every one that was appended before the
// call. It neither locks nor changes the ledger. The caller closes the files.
func OpenCopy(dir string) ([]*Copied, error) {
	for try := 0; ; try++ {
		all, err := openCopy(dir)
		if err == nil {
			return all, nil
		}
		for _, c := range all {
			err = errors.Join(err, c.Close())
		}
		if try == copyTries || !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read ledger: %w", err)
		}
	}
}

func openCopy(dir string) (all []*Copied, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if _, ok := fileNumber(name); !ok && name != spareName && name != identityFile {
			continue
		}
		handle, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return all, err
		}
		c := &Copied{Name: name, handle: handle}
		all = append(all, c)
		if err := c.measure(); err != nil {
			return all, err
		}
	}
	// A spare file that is not in use is no part of the ledger.
	return slices.DeleteFunc(all, func(c *Copied) bool {
		unused := c.Name == spareName && c.Size <= headerBytes
		if unused {
			err = errors.Join(err, c.Close())
		}
		return unused
	}), err
}

// measure finds the end of the last whole frame: a file that is being written
// is larger.
func (c *Copied) measure() error {
	info, err := c.handle.Stat()
	if err != nil {
		return err
	}
	c.Size = info.Size()
	if c.Name == identityFile {
		return nil
	}
	b := make([]byte, info.Size())
	if _, err := c.handle.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	if _, ok := headerOf(b); !ok && c.Name == spareName {
		c.Size = 0
		return nil
	}
	end, _ := scan(b, min(headerBytes, len(b)), func(Kind, []byte, int) bool { return true })
	c.Size = int64(end)
	return nil
}

// Renew gives the restored ledger in dir an epoch that no process has used: the
// original may have gone on after the copy was taken.
func Renew(dir string) error {
	path := filepath.Join(dir, identityFile)
	held, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot renew ledger: %w", err)
	}
	var id Identity
	if err := json.Unmarshal(held, &id); err != nil {
		return fmt.Errorf("cannot renew ledger: %w", err)
	}
	id.Epoch = nextEpoch(id.Epoch)
	next, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("cannot renew ledger: %w", err)
	}
	if err := durable.WriteFile(path, next); err != nil {
		return fmt.Errorf("cannot renew ledger: %w", err)
	}
	return nil
}
