package main

import (
	"bytes"
	"context"
	"errors"
	"os"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/meter/clickhouse"
)

// MigrateCmd brings ClickHouse's schema up to date.
type MigrateCmd struct {
	Config string `required:"" type:"path" help:"Configuration file (docs/config.md)." placeholder:"FILE"`
	User   string `placeholder:"NAME" help:"User that may create tables, in place of meter.clickhouse.user. Its password is asked for, or read from stdin."`
}

// Run migrates. SQLite's schemas need no command.
func (c *MigrateCmd) Run() error {
	cfg, err := config.Load(c.Config, os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	if cfg.Meter.ClickHouse.URL == "" {
		return usageError{errors.New("meter.clickhouse.url is not set: records are kept in SQLite, whose schema the gateway brings up to date itself")}
	}
	server, err := clickHouseServer(&cfg.Meter.ClickHouse)
	if err != nil {
		return err
	}
	if c.User != "" {
		password, err := readSecret("Password of " + c.User)
		if err != nil {
			return err
		}
		defer clear(password)
		server.User, server.Password = c.User, func() string { return string(bytes.TrimSpace(password)) }
	}
	return migrate(context.Background(), server)
}

func migrate(ctx context.Context, server clickhouse.Server) error {
	to := 0
	if err := clickhouse.Migrate(ctx, server, func(version int) { to = version }); err != nil {
		return err
	}
	if to == 0 {
		printf("database %s: up to date (version %d)\n", server.Database, clickhouse.Version)
		return nil
	}
	printf("database %s: migrated to version %d\n", server.Database, to)
	return nil
}
