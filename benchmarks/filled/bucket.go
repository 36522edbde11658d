package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/memory"
)

// bucketOf measures a bucket with so many memories.
func bucketOf(b *bed, n int) error {
	return b.on("memory.db", func(database *db.DB) error {
		if err := database.Migrate(b.ctx, memory.Migrations(), "memory_migrations"); err != nil {
			return err
		}
		k, err := b.keeper(database)
		if err != nil {
			return err
		}
		err = errors.Join(b.store(k, "large", n), b.store(k, "small", 100))
		k.Close()
		if err != nil {
			return err
		}
		before := heap()
		if err := b.measure("start", 1, func() (err error) {
			k, err = b.keeper(database)
			return err
		}); err != nil {
			return err
		}
		defer k.Close()
		return errors.Join(b.inBucket(k, before), b.deleteBucket(k))
	})
}

func (b *bed) keeper(database *db.DB) (*memory.Keeper, error) {
	return memory.Open(b.ctx, memory.Options{
		Write: database.Write, Read: database.Read, Erase: database.Erase, Emit: func(memory.Event) error { return nil },
		Tenants: func(string) bool { return true }, Settings: func(string) memory.Settings { return memory.Settings{} },
		Trouble:          func(what string, err error) { fmt.Fprintln(os.Stderr, what, err) },
		MaxResidentBytes: 4 << 30, MaxBucketMemories: 1 << 30, MaxTenantBuckets: 10, MaxTenantBytes: 1 << 40,
	})
}

// store fills a bucket.
func (b *bed) store(k *memory.Keeper, bucket string, n int) error {
	for done := 0; done < n; done += memory.MaxBatch {
		w := memory.Write{Bucket: bucket, Dedup: memory.DedupOff}
		for i := done; i < min(n, done+memory.MaxBatch); i++ {
			w.Memories = append(w.Memories, memory.Memory{Content: fmt.Sprintf("note %d about subject %d: the colour of door %d is %d", i, i%997, i%89, i%13)})
		}
		if _, err := k.Store(b.ctx, &memory.Caller{Tenant: "acme"}, &w); err != nil {
			return err
		}
	}
	return nil
}

// search asks a bucket another question each time: the same one would be answered
// from what was remembered.
func (b *bed) search(k *memory.Keeper, bucket string, n int) error {
	_, err := k.Search(b.ctx, &memory.Question{Tenant: "acme", Buckets: []string{bucket}, Text: fmt.Sprint("the colour of door 7 in subject ", n), K: 10})
	return err
}

// inBucket measures what is asked of the large bucket.
func (b *bed) inBucket(k *memory.Keeper, before int64) error {
	asked := 0
	search := func() error {
		asked++
		return b.search(k, "large", asked)
	}
	return all(func() error {
		return b.measure("first search, which loads the bucket", 1, search)
	}, func() error {
		b.held("held", before)
		return b.measure("search", rounds, search)
	}, func() error {
		return b.measure("store a memory", rounds, func() error {
			_, err := k.Store(b.ctx, &memory.Caller{Tenant: "acme"}, &memory.Write{Bucket: "large", Dedup: memory.DedupOff, Memories: []memory.Memory{{Content: "one more"}}})
			return err
		})
	}, func() error {
		return b.measure("a page of 100 memories", rounds, func() error {
			_, _, err := k.List(b.ctx, "acme", "large", 100, 0)
			return err
		})
	}, b.onDisk)
}

// deleteBucket measures the end of the large bucket, and how long a search in the
// small one waits meanwhile at most.
func (b *bed) deleteBucket(k *memory.Keeper) error {
	var over atomic.Bool
	longest := make(chan time.Duration)
	go func() {
		var most time.Duration
		for n := 0; !over.Load(); n++ {
			began := time.Now()
			if err := b.search(k, "small", n); err != nil {
				fmt.Fprintln(os.Stderr, "search meanwhile:", err)
			}
			most = max(most, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		longest <- most
	}()
	err := b.measure("delete the bucket", 1, func() error {
		return k.DeleteBucket(b.ctx, &memory.Caller{Tenant: "acme"}, "large")
	})
	over.Store(true)
	b.figures = append(b.figures, figure{what: "longest search in another bucket meanwhile", took: <-longest})
	return err
}
