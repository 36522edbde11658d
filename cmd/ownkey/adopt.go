package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/internal/installation"
)

// AdoptCmd accepts a store that is not the one that was known.
type AdoptCmd struct {
	Data  string   `required:"" type:"existingdir" placeholder:"DIR" help:"Data directory of the gateway, which must be stopped."`
	Store []string `arg:"" enum:"usage.db,memory.db,ledger,clickhouse,keyring" help:"What to accept as it is now: usage.db, memory.db, ledger, clickhouse or keyring (the master key file)."`
}

// Run makes the stores those of this installation. What was in the ones that
// they take the place of is lost.
func (c *AdoptCmd) Run() error {
	ctx := context.Background()
	main := filepath.Join(c.Data, databaseFile)
	if _, err := os.Stat(main); err != nil {
		return fmt.Errorf("cannot adopt: %w", err)
	}
	lock, err := durable.LockDir(c.Data)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // the process ends
	return withRegister(ctx, main, func(r *installation.Register) error {
		for _, name := range c.Store {
			if err := adopt(ctx, r, c.Data, name); err != nil {
				return err
			}
			printf("%s: the next start takes what it finds\n", name)
		}
		return nil
	})
}

// adopt makes a store one of ours. What is not a database here, or not there,
// the next start marks.
func adopt(ctx context.Context, r *installation.Register, data, name string) (err error) {
	if name == clickHouseStore {
		return r.AdoptRemote(ctx, name)
	}
	path := filepath.Join(data, name)
	if _, err := os.Stat(path); filepath.Ext(name) != ".db" || errors.Is(err, fs.ErrNotExist) {
		return r.Adopt(ctx, name, nil)
	}
	d, err := db.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return r.Adopt(ctx, name, d)
}

func withRegister(ctx context.Context, path string, f func(*installation.Register) error) (err error) {
	d, err := db.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r, err := installation.Open(ctx, d)
	if err != nil {
		return err
	}
	return f(r)
}
