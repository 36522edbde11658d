package main

import (
	"fmt"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fill"
)

// directoryOf measures a directory with so many tokens.
func directoryOf(b *bed, tokens int) error {
	return b.on("directory.db", func(database *db.DB) error {
		d, err := directory.Open(b.ctx, database, directory.Options{})
		if err != nil {
			return err
		}
		d.Close() // it has made the tables
		tenants := max(60, tokens/10)
		if err := fill.Directory(b.ctx, database, tenants, tokens); err != nil {
			return err
		}
		before := heap()
		if err := b.measure("start", 1, func() (err error) {
			d, err = directory.Open(b.ctx, database, directory.Options{})
			return err
		}); err != nil {
			return err
		}
		defer d.Close()
		b.held("held", before)
		return b.inDirectory(d, fill.Tenant(tenants/3))
	})
}

// inDirectory measures what is asked of an open one.
func (b *bed) inDirectory(d *directory.Directory, tenant string) error {
	token := ""
	return all(func() error {
		return b.measure("mint a token", rounds, func() (err error) {
			token, _, err = d.CreateToken(b.ctx, tenant, directory.NewToken{Label: "one"})
			return err
		})
	}, func() error {
		return b.measure("authenticate, 1,000 times", rounds, func() error {
			for range 1000 {
				if _, err := d.Authenticate([]byte(token), time.Now()); err != nil {
					return err
				}
			}
			return nil
		})
	}, func() error {
		return b.measure("a page of 50 tenants", rounds, func() error {
			page, err := d.TenantPage(b.ctx, fill.Tenant(1), 50)
			if err == nil && len(page) != 50 {
				err = fmt.Errorf("a page of %d", len(page))
			}
			return err
		})
	}, b.onDisk)
}
