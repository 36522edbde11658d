package memory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
)

// bucketKey names a bucket: the same name of two tenants is two buckets.
type bucketKey struct{ tenant, name string }

// bucket is a place that a bucket may be resident in. It is there while the
// bucket is in memory, is loaded or is changed: for one that the store does not
// know nothing is kept.
type bucket struct {
	key bucketKey
	// turn is held by who changes the bucket, or loads it: the index sees the
	// changes in the order in which the store does.
	turn     chan struct{}
	gone     bool // it was let go of, and another may stand in its place; guarded by turn
	waiting  atomic.Int32
	resident atomic.Pointer[resident]
	// newest is a part of the bucket that recalls make do with while all of it is
	// loaded. It is there only while the load goes on, in which nothing is changed.
	newest atomic.Pointer[resident]
	used   atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex
	loading *loading // guarded by mu
}

// loading is a load that several may wait for.
type loading struct {
	part chan struct{} // closed when the newest are there
	done chan struct{}
	err  error
}

// maxWaiting is how many writers may wait for one bucket. A transaction takes
// some milliseconds, so that the last of them waits for less than a second.
const maxWaiting = 64

func (k *Keeper) bucket(key bucketKey) *bucket {
	b, ok := k.buckets.Load(key)
	if !ok {
		b, _ = k.buckets.LoadOrStore(key, &bucket{key: key, turn: make(chan struct{}, 1)})
	}
	return b
}

// begin waits for a bucket's turn to be changed. The caller gives it back with
// end.
func (k *Keeper) begin(ctx context.Context, tenant, name string) (*bucket, error) {
	return k.await(ctx, bucketKey{tenant, name}, maxWaiting)
}

// await is begin for work that others wait for already: with most of 0, however
// many wait.
func (k *Keeper) await(ctx context.Context, key bucketKey, most int32) (*bucket, error) {
	for {
		b := k.bucket(key)
		if err := b.take(ctx, most); err != nil {
			return nil, err
		}
		if !b.gone {
			return b, nil
		}
		k.end(b)
	}
}

func (b *bucket) take(ctx context.Context, most int32) error {
	defer b.waiting.Add(-1)
	if n := b.waiting.Add(1); most > 0 && n > most {
		return ErrBusy
	}
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

// end gives the turn back. A bucket that is not in memory leaves nothing behind.
func (k *Keeper) end(b *bucket) {
	if !b.gone && b.resident.Load() == nil {
		b.gone = true
		k.buckets.Delete(b.key)
	}
	<-b.turn
}

// ready gives a bucket as it is in memory, and loads it if it is not: ErrNotFound
// if there is none. The load goes on when ctx ends, for whoever comes next. Who takes
// a part gets the newest memories when half of the time is over.
func (k *Keeper) ready(ctx context.Context, tenant, name string, part bool) (*bucket, *resident, error) {
	key := bucketKey{tenant, name}
	for {
		b, ok := k.buckets.Load(key)
		if !ok {
			if _, err := k.bucketID(ctx, tenant, name); err != nil {
				return nil, nil, inTime(ctx, err)
			}
			b = k.bucket(key)
		}
		if r := b.resident.Load(); r != nil {
			b.used.Store(time.Now().UnixNano())
			return b, r, nil
		}
		if r, err := b.await(ctx, k.startLoading(b), part); err != nil || r != nil {
			return b, r, err
		}
	}
}

// await waits for a load. It gives the newest memories if they are wanted and half of
// the time is over, nil if all are there.
func (b *bucket) await(ctx context.Context, l *loading, part bool) (*resident, error) {
	if end, ok := ctx.Deadline(); ok && part {
		half := time.NewTimer(time.Until(end) / 2)
		defer half.Stop()
		select {
		case <-l.done:
			return nil, l.err
		case <-half.C:
		}
		select {
		case <-l.done:
			return nil, l.err
		case <-l.part:
			if r := b.newest.Load(); r != nil {
				return r, nil
			}
		case <-ctx.Done():
			return nil, ErrTimeout
		}
	}
	select {
	case <-l.done:
		return nil, l.err
	case <-ctx.Done():
		return nil, ErrTimeout
	}
}

// inTime says of an error whether it is only that ctx has ended.
func inTime(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ErrNotFound) {
		return ErrTimeout
	}
	return err
}

func (k *Keeper) startLoading(b *bucket) *loading {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loading != nil {
		return b.loading
	}
	l := &loading{part: make(chan struct{}), done: make(chan struct{})}
	b.loading = l
	k.running.Go(func() {
		defer crash.Exit()
		l.err = k.loadAlone(b, l.part)
		b.mu.Lock()
		b.loading = nil
		b.mu.Unlock()
		close(l.done)
	})
	return l
}

// loadAlone loads a bucket while nobody writes to it.
func (k *Keeper) loadAlone(b *bucket, part chan struct{}) (err error) {
	defer survive(&err)
	if err := b.take(k.background, 0); err != nil {
		return err
	}
	defer k.end(b)
	if b.gone {
		return nil
	}
	if err := k.loads.enter(k.background, b.key.tenant); err != nil {
		return unavailable(err)
	}
	defer k.loads.leave(b.key.tenant)
	if err := k.loadNewest(k.background, b, part); err != nil {
		return err
	}
	defer b.forgetNewest() // before the turn is given back, and anything is changed
	return k.load(k.background, b)
}

// loadNewest reads the newest memories of a bucket that has more of them than one page,
// for recalls that can not wait for all. The caller has the bucket's turn.
func (k *Keeper) loadNewest(ctx context.Context, b *bucket, part chan struct{}) error {
	if b.resident.Load() != nil {
		return nil
	}
	id, err := k.bucketID(ctx, b.key.tenant, b.key.name)
	if err != nil {
		return err
	}
	alive, args := k.deleting.alive(id)
	var n, first int64
	err = k.o.Read.QueryRowContext(ctx, "SELECT count(*), coalesce(min(seq), 0) FROM (SELECT m.seq FROM memories m WHERE m.tenant = ? AND m.bucket_id = ?"+alive+" ORDER BY m.seq DESC LIMIT ?)",
		append(append([]any{b.key.tenant, id}, args...), pageMemories)...).Scan(&n, &first)
	if err != nil || n < pageMemories {
		return unavailable(err)
	}
	r := newResident(b.key, id, &k.held)
	r.newest = true
	if err := k.loadMemories(ctx, b, r, first-1); err != nil {
		return unavailable(err)
	}
	r.measure()
	defer close(part)
	b.newest.Store(r)
	return nil
}

func (b *bucket) forgetNewest() {
	if r := b.newest.Swap(nil); r != nil {
		r.close()
	}
}

// load reads a bucket from the store unless it is in memory. The caller has the
// bucket's turn.
func (k *Keeper) load(ctx context.Context, b *bucket) error {
	if b.resident.Load() != nil {
		return nil
	}
	id, err := k.bucketID(ctx, b.key.tenant, b.key.name)
	if err != nil {
		return err
	}
	r := newResident(b.key, id, &k.held)
	if err := k.loadMemories(ctx, b, r, 0); err != nil {
		return unavailable(err)
	}
	if err := k.loadVectors(ctx, b, r); err != nil {
		return unavailable(err)
	}
	k.counts.Loads.Add(1)
	k.settle(b, r)
	return nil
}

// pageMemories is how many memories a load reads at once: a reader that goes on
// for long keeps what others delete in the write-ahead log.
const pageMemories = 500

// loadMemories reads what is not about to be deleted, from behind a memory on. The caller has the bucket's
// turn, so that the pages fit together.
func (k *Keeper) loadMemories(ctx context.Context, b *bucket, r *resident, after int64) error {
	alive, args := k.deleting.alive(r.id)
	where := selectMemories + " WHERE m.tenant = ? AND m.bucket_id = ?" + alive + " AND m.seq > ? ORDER BY m.seq LIMIT ?"
	return r.index.Fill(func() error {
		for n := pageMemories; n == pageMemories; {
			rows, err := k.o.Read.QueryContext(ctx, where, append(append([]any{b.key.tenant, r.id}, args...), after, pageMemories)...)
			if err != nil {
				return err
			}
			n = 0
			if err := eachMemory(rows, b.key.tenant, func(m *Memory) error {
				r.add(m)
				n, after = n+1, m.seq
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle puts a loaded bucket in its place, and makes room for it.
func (k *Keeper) settle(b *bucket, r *resident) {
	b.used.Store(time.Now().UnixNano())
	b.resident.Store(r)
	k.resized(b, r)
}

// apply changes a bucket in memory after the store was changed. The caller has
// the bucket's turn.
func (k *Keeper) apply(b *bucket, change func(r *resident)) {
	if r := b.resident.Load(); r != nil {
		change(r)
		k.resized(b, r)
	}
}

// resized counts what a bucket holds now, and makes room if need be. The caller
// has its turn.
func (k *Keeper) resized(b *bucket, r *resident) {
	r.measure()
	if r.beyond(k.share()) > 0 {
		k.oversize.Store(b)
	}
	k.makeRoom(b)
}

// share is what one bucket may hold of the bound. Larger ones are of a time when
// more was allowed, or of vectors that have grown.
func (k *Keeper) share() int64 { return k.o.MaxResidentBytes / 2 }

// beyond is how much more than a share the bucket holds, 0 for none.
func (r *resident) beyond(share int64) int64 { return max(0, r.measured.Load()-share) }

// mayHold is what all buckets together may hold. Of the bucket that outgrew its
// share last, only the share counts: if it made all others go at each recall,
// they would be loaded again and again. Of two such buckets one has to go.
func (k *Keeper) mayHold() int64 {
	most := k.o.MaxResidentBytes
	if b := k.oversize.Load(); b != nil {
		if r := b.resident.Load(); r != nil {
			most += r.beyond(k.share())
		}
	}
	return most
}

// roomLeft is the part of the bound that is free after room was made: looking at
// all buckets is worth it for a tenth.
const roomLeft = 10

// makeRoom lets go of the buckets that were used longest ago, if more is held
// than may be, but not of keep, which is in use. That is rare, so that looking at all of them is cheaper than
// keeping them in order at each recall.
func (k *Keeper) makeRoom(keep *bucket) {
	if k.held.Load() <= k.mayHold() || !k.evicting.TryLock() {
		return
	}
	defer k.evicting.Unlock()
	type candidate struct {
		b       *bucket
		outgrew bool // its share, and is not the one that may
		used    int64
	}
	var all []candidate
	k.buckets.Range(func(_ bucketKey, b *bucket) bool {
		if r := b.resident.Load(); r != nil && b != keep {
			all = append(all, candidate{b, b != k.oversize.Load() && r.beyond(k.share()) > 0, b.used.Load()})
		}
		return true
	})
	slices.SortFunc(all, func(a, b candidate) int {
		if a.outgrew != b.outgrew {
			if a.outgrew {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.used, b.used)
	})
	for _, c := range all {
		if k.held.Load() <= k.mayHold()-k.o.MaxResidentBytes/roomLeft {
			return
		}
		k.forget(c.b)
	}
}

// forget lets go of a bucket, unless somebody changes it now. Who reads it goes
// on with what there was.
func (k *Keeper) forget(b *bucket) {
	select {
	case b.turn <- struct{}{}:
	default:
		return
	}
	k.drop(b)
	k.end(b)
}

// drop lets go of a bucket. The caller has its turn.
func (k *Keeper) drop(b *bucket) {
	if r := b.resident.Swap(nil); r != nil {
		r.close()
		k.counts.Evictions.Add(1)
	}
}
