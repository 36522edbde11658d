package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/wire"
)

// ours is the gateway's own store and index, in process. A search is a whole
// recall: with the floor, and with the block of at most 800 tokens written.
type ours struct {
	keeper   *memory.Keeper
	dir      string
	database *db.DB
}

func newOurs(ctx context.Context) (*ours, error) {
	dir, err := os.MkdirTemp("", "ownkey-recall")
	if err != nil {
		return nil, err
	}
	o := &ours{dir: dir}
	if o.database, err = db.Open(ctx, filepath.Join(dir, "memory.db")); err != nil {
		return nil, err
	}
	if err := o.database.Migrate(ctx, memory.Migrations(), "memory_migrations"); err != nil {
		return nil, err
	}
	return o, o.open(ctx)
}

// open begins with nothing in memory.
func (o *ours) open(ctx context.Context) (err error) {
	if o.keeper != nil {
		o.keeper.Close()
	}
	o.keeper, err = memory.Open(ctx, memory.Options{
		Write: o.database.Write, Read: o.database.Read, Erase: o.database.Erase, MaxTenantBuckets: 1 << 20, MaxTenantBytes: 1 << 40, Emit: func(memory.Event) error { return nil }, Tenants: func(string) bool { return true },
		Settings: func(string) memory.Settings { return memory.Settings{} }, MaxResidentBytes: 16 << 30, MaxBucketMemories: 1 << 30,
		Trouble: func(what string, err error) { fmt.Fprintln(os.Stderr, what, err) },
	})
	return err
}

// Name implements engine.
func (o *ours) Name() string { return "Ownkey" }

// Load implements engine.
func (o *ours) Load(ctx context.Context, bucket string, docs []document) error {
	for part := range slices.Chunk(docs, memory.MaxBatch) {
		if _, err := o.store(ctx, bucket, part, false); err != nil {
			return err
		}
	}
	return nil
}

// store stores at most memory.MaxBatch documents, as they are or as an import does.
func (o *ours) store(ctx context.Context, bucket string, docs []document, imported bool) ([]memory.Result, error) {
	who := &memory.Caller{Tenant: "bench"}
	w := memory.Write{Bucket: bucket, Dedup: memory.DedupOff}
	for i := range docs {
		d := &docs[i]
		w.Memories = append(w.Memories, memory.Memory{Content: d.Text, Role: d.Role, Speaker: d.Speaker, Session: d.Session, ObservedAt: d.Date})
	}
	if imported {
		return o.keeper.Import(ctx, who, bucket, w.Memories)
	}
	return o.keeper.Store(ctx, who, &w)
}

// Search implements engine: it recalls as a call with memory does.
func (o *ours) Search(_ context.Context, bucket, query string, k int) ([]string, error) {
	found, err := o.recall(bucket, prompt{text: query}, k, 800)
	return found.IDs, err
}

func (o *ours) recall(bucket string, turn prompt, k, tokens int) (memory.Recalled, error) {
	text := []byte(turn.text)
	return o.keeper.Recall(&memory.Recall{Tenant: "bench", Buckets: []string{bucket}, Question: wire.NewText(&text), Own: turn.own, TopK: k, MaxTokens: tokens, Timeout: time.Minute})
}

// Close implements engine.
func (o *ours) Close() error {
	o.keeper.Close()
	return errors.Join(o.database.Close(), os.RemoveAll(o.dir))
}

// residence prints what a bucket costs: the first recall, which reads it from
// the store, and its memory.
func residence(ctx context.Context, texts, queries []string) error {
	fmt.Println("\n| memories in a bucket | first recall, p50 of 9 | memory |\n| ---: | ---: | ---: |")
	for _, n := range []int{100, 1000, 5000, 20_000} {
		o, err := newOurs(ctx)
		if err != nil {
			return err
		}
		err = o.residence(ctx, n, texts, queries[0])
		if err := errors.Join(err, o.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (o *ours) residence(ctx context.Context, n int, texts []string, query string) error {
	if err := o.Load(ctx, "bucket", someDocuments(texts, 0, n)); err != nil {
		return err
	}
	var took []time.Duration
	var held uint64
	for range 9 {
		if err := o.open(ctx); err != nil {
			return err
		}
		before := heap()
		began := time.Now()
		if _, err := o.Search(ctx, "bucket", query, 8); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		held = heap() - before
	}
	slices.Sort(took)
	fmt.Printf("| %d | %.1f ms | %.1f MiB |\n", n, milliseconds(took[len(took)/2]), float64(held)/(1<<20))
	return nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
