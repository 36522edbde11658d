package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/vaultbridge"
)

// ServeCmd is production.
type ServeCmd struct {
	Config string `required:"" type:"path" help:"Configuration file (docs/config.md)." placeholder:"FILE"`
}

// Run serves until a signal ends it. SIGHUP makes it read the configuration again.
func (c *ServeCmd) Run() error {
	asked := hangups()
	env := environment{names: map[string]bool{}}
	cfg, err := config.Load(c.Config, env.first)
	if err != nil {
		return usageError{err}
	}
	if err := blank(env.entries()...); err != nil {
		return fmt.Errorf("secrets would stay in the environment, give them as {file: PATH}: %w", err)
	}
	log, lines, err := newLog(os.Stderr, cfg.Log.Level)
	if err != nil {
		return err
	}
	defer lines.Close()
	if err := sealProcess(); err != nil {
		return err
	}
	a, err := open(context.Background(), cfg, log, lines)
	if err != nil {
		return err
	}
	a.hangups, a.load = asked, func() (*config.Config, error) { return env.load(c.Config) }
	return a.run(context.Background())
}

// KeygenCmd makes a master key file.
type KeygenCmd struct {
	File string `arg:"" type:"path" help:"Where to write it. An existing file is never touched."`
}

// Run writes the file and says what to do with it.
func (c *KeygenCmd) Run() error {
	if _, err := vaultbridge.CreateLocal(c.File); err != nil {
		return err
	}
	printf("wrote %s (mode 0600). Keep a copy in a safe place: without it no credential can be opened again.\n", c.File)
	return nil
}
