package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/fill"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/ownkey/ownkey/meter/usage"
)

// directory measures one with many tenants and tokens.
func (b *bed) directory(tenants, tokens int) error {
	d, err := directory.Open(b.ctx, b.database, directory.Options{})
	if err != nil {
		return err
	}
	d.Close() // it has made the tables
	if err := fill.Directory(b.ctx, b.database, tenants, tokens); err != nil {
		return err
	}
	if err := b.measure("directory: start", 1, func() (err error) {
		d, err = directory.Open(b.ctx, b.database, directory.Options{})
		return err
	}); err != nil {
		return err
	}
	defer d.Close()
	tenant, token := fill.Tenant(tenants/3), ""
	if err := b.measure("mint a token", rounds, func() (err error) {
		token, _, err = d.CreateToken(b.ctx, tenant, directory.NewToken{Label: "one"})
		return err
	}); err != nil {
		return err
	}
	if err := b.measure("authenticate, 1,000 times", rounds, func() error {
		for range 1000 {
			if _, err := d.Authenticate([]byte(token), time.Now()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return b.measure("a page of 50 tenants", rounds, func() error {
		page, err := d.TenantPage(b.ctx, tenant, 50)
		if err == nil && len(page) != 50 {
			err = fmt.Errorf("a page of %d", len(page))
		}
		return err
	})
}

// memories measures a bucket with many.
func (b *bed) memories(n int) error {
	if err := b.database.Migrate(b.ctx, memory.Migrations(), "memory_migrations"); err != nil {
		return err
	}
	open := func() (*memory.Keeper, error) {
		return memory.Open(b.ctx, memory.Options{
			Write: b.database.Write, Read: b.database.Read, Erase: b.database.Erase, Emit: func(memory.Event) error { return nil },
			Tenants: func(string) bool { return true }, Settings: func(string) memory.Settings { return memory.Settings{} },
			Trouble:          func(what string, err error) { fmt.Fprintln(os.Stderr, what, err) },
			MaxResidentBytes: 4 << 30, MaxBucketMemories: 1 << 30, MaxTenantBuckets: 10, MaxTenantBytes: 1 << 40,
		})
	}
	k, err := open()
	if err != nil {
		return err
	}
	who := &memory.Caller{Tenant: "acme"}
	for done := 0; done < n; done += memory.MaxBatch {
		w := memory.Write{Bucket: "b", Dedup: memory.DedupOff}
		for i := range min(memory.MaxBatch, n-done) {
			w.Memories = append(w.Memories, memory.Memory{Content: fmt.Sprintf("note %d about subject %d: the colour of door %d is %d", done+i, (done+i)%997, (done+i)%89, i%13)})
		}
		if _, err := k.Store(b.ctx, who, &w); err != nil {
			k.Close()
			return err
		}
	}
	k.Close()
	if err := b.measure("memories: start", rounds, func() (err error) {
		if k != nil {
			k.Close()
		}
		k, err = open()
		return err
	}); err != nil {
		return err
	}
	defer k.Close()
	asked := 0
	search := func() error {
		asked++ // the same question would be answered from what was remembered
		_, err := k.Search(b.ctx, &memory.Question{Tenant: "acme", Buckets: []string{"b"}, Text: fmt.Sprint("the colour of door 7 in subject ", asked), K: 10})
		return err
	}
	if err := b.measure("first search in a bucket, which loads it", 1, search); err != nil {
		return err
	}
	if err := b.measure("search", rounds, search); err != nil {
		return err
	}
	if err := b.measure("store a memory", rounds, func() error {
		_, err := k.Store(b.ctx, who, &memory.Write{Bucket: "b", Dedup: memory.DedupOff, Memories: []memory.Memory{{Content: "one more"}}})
		return err
	}); err != nil {
		return err
	}
	return b.measure("a page of 100 memories", rounds, func() error {
		_, _, err := k.List(b.ctx, "acme", "b", 100, 0)
		return err
	})
}

// usage measures questions about all tenants.
func (b *bed) usage(size fill.Size) error {
	s, err := sqlite.Open(b.ctx, b.database)
	if err != nil {
		return err
	}
	if err := take(b.ctx, s, size); err != nil {
		return err
	}
	for _, by := range []usage.By{usage.ByDay, usage.ByModel, usage.ByToken} {
		q := usage.Question{By: by, From: size.From, To: size.From.AddDate(0, 0, 1), Limit: 1000}
		if err := b.measure("usage of all tenants by "+string(by)+", a page of 1,000", rounds, func() error {
			_, err := s.Usage(b.ctx, q)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func take(ctx context.Context, s *sqlite.Store, size fill.Size) error {
	b := &drain.Batch{Gateway: ledger.Identity{Gateway: uuid.New(), Epoch: 1}}
	for row := range fill.Rows(size) {
		if r, ok := row.(*meter.Record); ok {
			b.Requests = append(b.Requests, r)
		}
		if len(b.Requests) == 5000 {
			if err := s.Take(ctx, b); err != nil {
				return err
			}
			b.Requests = nil
		}
	}
	return s.Take(ctx, b)
}
