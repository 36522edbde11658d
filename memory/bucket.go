package memory

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/memory/index"
)

// bucketKey names a bucket: the same name of two tenants is two buckets.
type bucketKey struct{ tenant, name string }

// bucket is a place that a bucket may be resident in. It exists as soon as it
// is asked for, whether or not the store knows the bucket.
type bucket struct {
	key bucketKey
	// turn is held by who changes the bucket, or loads it: the index sees the
	// changes in the order in which the store does.
	turn     chan struct{}
	gone     bool // it was let go of, and another may stand in its place; guarded by turn
	waiting  atomic.Int32
	resident atomic.Pointer[resident]
	used     atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex
	loading *loading // guarded by mu
}

// loading is a load that several may wait for.
type loading struct {
	done chan struct{}
	err  error
}

// maxWaiting is how many writers may wait for one bucket. A transaction takes
// some milliseconds, so that the last of them waits for less than a second.
const maxWaiting = 64

// resident is a bucket in memory.
type resident struct {
	id    string // empty: the store does not know the bucket; set once, with the bucket's turn
	bytes int64  // as estimated; guarded by the bucket's turn

	mu      sync.RWMutex // guards what follows; held for microseconds
	index   *index.Index
	items   []item // by the index's number
	numbers map[string]int
	pinned  []int // numbers in order of arrival
	vectors vectors
	answers answers
}

// item is what recall needs of a memory. Its text is shared with nobody.
type item struct {
	Memory
	tokens int
	gone   bool
}

// Rough sizes for the bound on memory, from heap profiles of LoCoMo's buckets
// (2026-11): a memory with its item and maps, and a posting with its share of
// the lists.
const (
	itemBytes = 700
	termBytes = 20
)

func (k *Keeper) bucket(tenant, name string) *bucket {
	key := bucketKey{tenant, name}
	b, ok := k.buckets.Load(key)
	if !ok {
		b, _ = k.buckets.LoadOrStore(key, &bucket{key: key, turn: make(chan struct{}, 1)})
	}
	return b
}

// begin waits for a bucket's turn to be changed. The caller gives it back with
// end.
func (k *Keeper) begin(ctx context.Context, tenant, name string) (*bucket, error) {
	for {
		b := k.bucket(tenant, name)
		if err := b.begin(ctx); err != nil {
			return nil, err
		}
		if !b.gone {
			return b, nil
		}
		b.end()
	}
}

func (b *bucket) begin(ctx context.Context) error {
	if b.waiting.Add(1) > maxWaiting {
		b.waiting.Add(-1)
		return ErrBusy
	}
	defer b.waiting.Add(-1)
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

func (b *bucket) end() { <-b.turn }

// ready gives a bucket as it is in memory, and loads it if it is not. The load
// goes on when ctx ends, for whoever comes next.
func (k *Keeper) ready(ctx context.Context, tenant, name string) (*resident, error) {
	for {
		b := k.bucket(tenant, name)
		if r := b.resident.Load(); r != nil {
			b.used.Store(time.Now().UnixNano())
			return r, nil
		}
		l := k.startLoading(b)
		select {
		case <-l.done:
			if l.err != nil {
				return nil, l.err
			}
		case <-ctx.Done():
			return nil, ErrTimeout
		}
	}
}

func (k *Keeper) startLoading(b *bucket) *loading {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loading != nil {
		return b.loading
	}
	l := &loading{done: make(chan struct{})}
	b.loading = l
	k.running.Go(func() {
		defer crash.Exit()
		l.err = k.loadAlone(b)
		b.mu.Lock()
		b.loading = nil
		b.mu.Unlock()
		close(l.done)
	})
	return l
}

// loadAlone loads a bucket while nobody writes to it.
func (k *Keeper) loadAlone(b *bucket) (err error) {
	defer survive(&err)
	if err := b.begin(k.background); err != nil {
		return err
	}
	defer b.end()
	if !b.gone {
		_, err = k.load(k.background, b)
	}
	return err
}

// load reads a bucket from the store unless it is in memory. The caller has the
// bucket's turn.
func (k *Keeper) load(ctx context.Context, b *bucket) (*resident, error) {
	if r := b.resident.Load(); r != nil {
		return r, nil
	}
	r := newResident()
	err := k.o.Read.QueryRowContext(ctx, "SELECT id FROM buckets WHERE tenant = ? AND name = ?", b.key.tenant, b.key.name).Scan(&r.id)
	if err == sql.ErrNoRows {
		err = nil
	}
	if err == nil && r.id != "" {
		err = k.loadMemories(ctx, b, r)
	}
	if err == nil && r.id != "" {
		err = k.loadVectors(ctx, b, r)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	k.counts.Loads.Add(1)
	k.settle(b, r)
	return r, nil
}

func newResident() *resident {
	return &resident{index: index.New(&index.Default), numbers: map[string]int{}}
}

func (k *Keeper) loadMemories(ctx context.Context, b *bucket, r *resident) error {
	return r.index.Fill(func() error {
		rows, err := k.o.Read.QueryContext(ctx, selectMemories+" WHERE m.tenant = ? AND m.bucket_id = ? ORDER BY m.seq", b.key.tenant, r.id)
		if err != nil {
			return err
		}
		return eachMemory(rows, b.key.tenant, func(m *Memory) error {
			r.add(m)
			return nil
		})
	})
}

// settle puts a loaded bucket in its place, and makes room for it.
func (k *Keeper) settle(b *bucket, r *resident) {
	b.used.Store(time.Now().UnixNano())
	b.resident.Store(r)
	k.grow(b, r.bytes)
}

// grow counts what a bucket has come to hold, and lets go of those that were
// used longest ago until there is room. That is rare, so that looking at all of
// them is cheaper than keeping them in order at each recall.
func (k *Keeper) grow(keep *bucket, bytes int64) {
	k.held.Add(bytes)
	for k.held.Load() > k.o.MaxResidentBytes {
		var oldest *bucket
		k.buckets.Range(func(_ bucketKey, b *bucket) bool {
			if b != keep && len(b.turn) == 0 && b.resident.Load() != nil && (oldest == nil || b.used.Load() < oldest.used.Load()) {
				oldest = b
			}
			return true
		})
		if oldest == nil || !k.forget(oldest) {
			return
		}
	}
}

// forget lets go of a bucket, unless somebody changes it now. Who reads it goes
// on with what there was.
func (k *Keeper) forget(b *bucket) bool {
	select {
	case b.turn <- struct{}{}:
	default:
		return false
	}
	defer b.end()
	if r := b.resident.Swap(nil); r != nil {
		k.held.Add(-r.bytes)
		k.counts.Evictions.Add(1)
	}
	b.gone = true
	k.buckets.Delete(b.key)
	return true
}

// add puts a memory behind all others. The caller has the bucket's turn, and
// holds mu if others can see it; likewise for replace and remove.
func (r *resident) add(m *Memory) {
	d := document(m)
	n := r.index.Add(&d)
	r.items = append(r.items, item{Memory: *m, tokens: entryTokens(m)})
	r.numbers[m.ID] = n
	r.vectors.of = append(r.vectors.of, nil)
	if m.Pinned {
		r.pinned = append(r.pinned, n)
	}
	r.bytes += sizeOf(m)
	r.answers.forget()
}

// replace changes a memory where it stands.
func (r *resident) replace(m *Memory) {
	n, ok := r.numbers[m.ID]
	if !ok {
		return
	}
	old := &r.items[n]
	if old.Content != m.Content {
		r.vectors.of[n] = nil
	}
	d := document(m)
	r.index.Replace(n, &d)
	r.bytes += sizeOf(m) - sizeOf(&old.Memory)
	r.items[n] = item{Memory: *m, tokens: entryTokens(m)}
	r.pinned = slices.DeleteFunc(r.pinned, func(p int) bool { return p == n })
	if m.Pinned {
		r.pinned = append(r.pinned, n)
		slices.Sort(r.pinned)
	}
	r.answers.forget()
}

// remove takes a memory out: its text, words, vector and every answer that it
// may stand in.
func (r *resident) remove(id string) {
	n, ok := r.numbers[id]
	if !ok {
		return
	}
	r.index.Remove(n)
	r.bytes -= sizeOf(&r.items[n].Memory)
	r.items[n] = item{gone: true}
	r.vectors.of[n] = nil
	delete(r.numbers, id)
	r.pinned = slices.DeleteFunc(r.pinned, func(p int) bool { return p == n })
	r.answers.forget()
}

// sizeOf estimates what a memory costs in memory.
func sizeOf(m *Memory) int64 {
	text := len(m.Content) + len(m.Speaker) + len(m.Session) + len(m.Metadata)
	for _, f := range m.Facts {
		text += len(f)
	}
	return itemBytes + int64(text) + int64(text/6)*termBytes
}

// document is what the index knows of a memory.
func document(m *Memory) index.Document {
	return index.Document{Text: m.Content, Facts: m.Facts, Speaker: m.Speaker, Session: m.Session, Day: m.ObservedAt}
}
