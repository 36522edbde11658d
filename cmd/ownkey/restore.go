package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/archive"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/vaultbridge"
)

// RestoreCmd brings an archive back.
type RestoreCmd struct {
	DataFlags
	File string `arg:"" help:"Archive that ownkey backup wrote, or - for standard input."`
}

// restoringDir holds the files of a restore until all of them are proved. A
// gateway does not start on a directory that has it.
const restoringDir = ".restoring"

// Run puts all files in place, or none.
func (c *RestoreCmd) Run() error {
	ctx := context.Background()
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := vacant(cfg); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return usageError{fmt.Errorf("cannot restore: %w", err)}
		}
		defer in.Close() //nolint:errcheck // it was read
	}
	ring, err := openRingAlone(ctx, cfg)
	if err != nil {
		return err
	}
	defer ring.Close()
	a, err := archive.Open(in, func(m *archive.Manifest, text []byte) ([]byte, error) {
		k, err := ring.Of(m.Keyring)
		if err != nil {
			return nil, fmt.Errorf("%w: it names the keyring %.40q", archive.ErrForeign, m.Keyring)
		}
		return archiveMAC(ctx, k, text)
	})
	if err != nil {
		return fmt.Errorf("cannot restore %s: %w", c.File, err)
	}
	if err := restore(cfg.Data, a); err != nil {
		return fmt.Errorf("cannot restore %s: %w", c.File, err)
	}
	for _, e := range a.Manifest.Elsewhere {
		progress("not in it: %s at %s, database %s of installation %s. It has to hold what it held then: written up to %s", e.Store, e.Address, e.Database, e.Installation, e.Position)
		if have := cfg.Meter.ClickHouse; have.URL != e.Address || have.Database != e.Database {
			progress("the configuration names another: %q, database %s", have.URL, have.Database)
		}
	}
	printf("restored what was backed up at %s. Tokens that were revoked since then are valid again, and credentials are as they were: "+
		"look through ownkey token list and ownkey credential list. Key versions that were shut since then open again only when their "+
		"transit key's min_decryption_version is lowered (docs/security-audit.md).\n", a.Manifest.CreatedAt.Format(time.RFC3339))
	return nil
}

// vacant refuses a data directory with anything in it but the key file, which
// ownkey dev keeps there, what a refused login has left, and what a file system
// puts into its root.
func vacant(cfg *config.Config) error {
	entries, err := os.ReadDir(cfg.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		switch path := filepath.Join(cfg.Data, e.Name()); {
		case path == filepath.Clean(cfg.Keyring.MasterKeyFile), e.Name() == "lost+found", strings.HasPrefix(e.Name(), vaultbridge.RefusalPrefix):
		case e.Name() == restoringDir:
			return interrupted(cfg.Data)
		default:
			return fmt.Errorf("%s is there; stop the gateway and move what is in %s away first", path, cfg.Data)
		}
	}
	return err
}

// interrupted is what is wrong with a directory that a restore was not done with.
func interrupted(data string) error {
	return fmt.Errorf("a restore to %s was interrupted; remove everything in it but your key file, and restore again", data)
}

// restore writes the files beside their places, proves them all, and then moves
// them.
func restore(data string, a *archive.Reader) (err error) {
	next := filepath.Join(data, restoringDir)
	if err := os.MkdirAll(next, 0o700); err != nil {
		return err
	}
	placed := false
	defer func() {
		if err != nil && !placed {
			err = errors.Join(err, os.RemoveAll(next))
		}
	}()
	err = a.Each(func(f archive.File, r io.Reader) error {
		progress("%12d bytes  %s", f.Size, f.Name)
		return writeWhole(filepath.Join(next, filepath.FromSlash(f.Name)), r)
	})
	if err != nil {
		return err
	}
	if err := ledger.Renew(filepath.Join(next, ledgerDir)); err != nil {
		return err
	}
	entries, err := os.ReadDir(next)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := durable.SyncDir(next); err != nil {
			return err
		}
		placed = true
		if err := os.Rename(filepath.Join(next, e.Name()), filepath.Join(data, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(durable.SyncDir(data), os.Remove(next), durable.SyncDir(data))
}

// writeWhole writes a file and brings it to the disk with its name.
func writeWhole(path string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Sync(), out.Close(), durable.SyncDir(filepath.Dir(path)))
}
