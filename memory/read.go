package memory

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/retention"
)

// Pages of buckets. A client that names no page gets the first, as large as it
// may be.
const maxBucketPage = 1000

// selectBuckets reads buckets. Memories that have expired count no more; what
// has expired in another bucket is not looked at.
const selectBuckets = `SELECT b.id, b.name, b.description, b.created_at, b.memory_ttl, b.memories - b.contexts -
	(SELECT count(*) FROM memories m INDEXED BY memories_by_bucket_expiry WHERE m.bucket_id = b.id AND m.expires_at > 0 AND m.expires_at <= ? AND m.context = 0) FROM buckets b`

func scanBucket(rows *sql.Rows) (b Bucket, err error) {
	var created, ttl int64
	err = rows.Scan(&b.ID, &b.Name, &b.Description, &created, &ttl, &b.Memories)
	if b.TTL = time.Duration(ttl) * time.Second; ttl < 0 {
		b.TTL = retention.Never
	}
	b.CreatedAt = timeOf(created)
	return b, err
}

// Buckets gives a page of a tenant's buckets by name, and how many there are.
func (k *Keeper) Buckets(ctx context.Context, tenant string, limit, offset int) (page []Bucket, total int64, err error) {
	page = []Bucket{}
	err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
		b, err := scanBucket(rows)
		page = append(page, b)
		return err
	}, selectBuckets+" WHERE b.tenant = ? ORDER BY b.name LIMIT ? OFFSET ?", time.Now().UnixMicro(), tenant, limit, offset)
	if err != nil {
		return nil, 0, unavailable(err)
	}
	h, err := k.Holdings(ctx, tenant)
	return page, h.Buckets, err
}

// BucketNames gives the names of a tenant's buckets behind one, in order.
func (k *Keeper) BucketNames(ctx context.Context, tenant, after string, limit int) (names []string, err error) {
	err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}, "SELECT name FROM buckets WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?", tenant, after, limit)
	return names, unavailable(err)
}

// BucketsNamed gives a tenant's buckets of these names, as far as they are there.
func (k *Keeper) BucketsNamed(ctx context.Context, tenant string, names []string) (all []Bucket, err error) {
	for i := 0; err == nil && i < len(names); i++ {
		err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
			b, err := scanBucket(rows)
			all = append(all, b)
			return err
		}, selectBuckets+" WHERE b.tenant = ? AND b.name = ?", time.Now().UnixMicro(), tenant, names[i])
	}
	return all, unavailable(err)
}

// Holdings are what a tenant has stored.
type Holdings struct {
	Buckets  int64 `json:"buckets"`
	Memories int64 `json:"memories"` // with those that expired in the last seconds
	Bytes    int64 `json:"bytes"`    // of contents, present and former
}

// Holdings gives what a tenant has stored, exactly.
func (k *Keeper) Holdings(ctx context.Context, tenant string) (h Holdings, err error) {
	err = k.o.Read.QueryRowContext(ctx, "SELECT buckets, memories - contexts, bytes - context_bytes FROM holdings WHERE tenant = ?", tenant).Scan(&h.Buckets, &h.Memories, &h.Bytes)
	if err == sql.ErrNoRows {
		err = nil
	}
	return h, unavailable(err)
}

// CreateBucket makes a bucket, or gives the one there is: a description that is
// not empty replaces the one it has, and so does a ttl that is not nil.
func (k *Keeper) CreateBucket(ctx context.Context, tenant, name, description string, ttl *time.Duration) (made Bucket, err error) {
	if err := CheckBucket(name); err != nil {
		return Bucket{}, err
	}
	if len(description) > 1000 {
		return Bucket{}, &InvalidError{"description", "must not be longer than 1000 bytes"}
	}
	b, err := k.begin(ctx, tenant, name)
	if err != nil {
		return Bucket{}, err
	}
	defer k.end(b)
	var id string
	if err := k.write(ctx, func(tx *sql.Tx) (err error) {
		if id, err = k.ensureBucket(ctx, tx, b.key, description, time.Now()); err != nil {
			return err
		}
		if ttl != nil {
			if _, err = tx.ExecContext(ctx, "UPDATE buckets SET memory_ttl = ? WHERE id = ?", ttlSeconds(*ttl), id); err != nil {
				return err
			}
		}
		if description == "" {
			return nil
		}
		if _, err = tx.ExecContext(ctx, "UPDATE buckets SET description = ? WHERE id = ?", description, id); err != nil {
			return err
		}
		return k.within(ctx, tx, tenant)
	}); err != nil {
		return Bucket{}, err
	}
	err = each(ctx, k.o.Read, func(rows *sql.Rows) (err error) {
		made, err = scanBucket(rows)
		return err
	}, selectBuckets+" WHERE b.id = ?", time.Now().UnixMicro(), id)
	return made, unavailable(err)
}

// List gives a page of a bucket, newest first, and how many memories there are.
func (k *Keeper) List(ctx context.Context, tenant, bucket string, limit, offset int) (page []Memory, total int64, err error) {
	return k.Page(ctx, tenant, bucket, limit, offset, func(int64) error { return nil })
}

// pageSeqs finds a page by an index alone: what is passed over is not read.
const pageSeqs = `SELECT m.seq FROM memories m INDEXED BY memories_by_bucket
	WHERE m.bucket_id = ? AND m.context <= ? AND (m.expires_at = 0 OR m.expires_at > ?) ORDER BY m.seq DESC LIMIT ? OFFSET ?`

// Page is List that asks for room before it reads the texts of the page, of so many
// bytes.
func (k *Keeper) Page(ctx context.Context, tenant, bucket string, limit, offset int, room func(texts int64) error) (page []Memory, total int64, err error) {
	return k.page(ctx, tenant, bucket, false, limit, offset, room)
}

// PageWithContext is Page with the turns that are kept as context; total is that of all.
func (k *Keeper) PageWithContext(ctx context.Context, tenant, bucket string, limit, offset int, room func(texts int64) error) (page []Memory, total int64, err error) {
	return k.page(ctx, tenant, bucket, true, limit, offset, room)
}

func (k *Keeper) page(ctx context.Context, tenant, bucket string, contexts bool, limit, offset int, room func(texts int64) error) (page []Memory, total int64, err error) {
	bucketID, err := k.bucketID(ctx, tenant, bucket)
	if errors.Is(err, ErrNotFound) && bucket == DefaultBucket {
		return nil, 0, nil // it exists, as far as anybody can see
	}
	if err != nil {
		return nil, 0, err
	}
	now := time.Now().UnixMicro()
	if err := each(ctx, k.o.Read, func(rows *sql.Rows) error {
		b, err := scanBucket(rows)
		total = b.Memories
		return err
	}, selectBuckets+" WHERE b.id = ?", now, bucketID); err != nil {
		return nil, 0, unavailable(err)
	}
	if contexts {
		var more int64
		if err := k.o.Read.QueryRowContext(ctx, "SELECT contexts FROM buckets WHERE id = ?", bucketID).Scan(&more); err != nil {
			return nil, 0, unavailable(err)
		}
		total += more
	}
	var seqs []any
	if err := each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		seqs = append(seqs, seq)
		return err
	}, pageSeqs, bucketID, contexts, now, limit, offset); err != nil {
		return nil, 0, unavailable(err)
	}
	if len(seqs) == 0 {
		return []Memory{}, total, nil
	}
	these := "m.seq IN (?" + strings.Repeat(", ?", len(seqs)-1) + ")"
	var texts int64
	if err := k.o.Read.QueryRowContext(ctx, "SELECT coalesce(sum(octet_length(m.content) + octet_length(m.facts) + octet_length(m.metadata)), 0) FROM memories m WHERE "+these, seqs...).
		Scan(&texts); err != nil {
		return nil, 0, unavailable(err)
	}
	if err := room(texts); err != nil {
		return nil, 0, err
	}
	page, err = k.query(ctx, tenant, " WHERE "+these+" AND m.tenant = ? ORDER BY m.seq DESC", append(seqs, tenant)...)
	return page, total, err
}

// exportPage is how many memories an export has in hand: at their largest they
// are 2 MiB.
const exportPage = 16

// Export reads a bucket in pages: the memories that it had when the export began.
// What is changed meanwhile comes as it is when its page is read, and what is
// deleted meanwhile does not come.
type Export struct {
	keeper           *Keeper
	tenant, bucketID string
	after, last      int64 // numbers of memories
}

// Export begins an export.
func (k *Keeper) Export(ctx context.Context, tenant, bucket string) (*Export, error) {
	bucketID, err := k.bucketID(ctx, tenant, bucket)
	if err != nil {
		return nil, err
	}
	e := &Export{keeper: k, tenant: tenant, bucketID: bucketID}
	err = k.o.Read.QueryRowContext(ctx, "SELECT ifnull(max(seq), 0) FROM memories WHERE bucket_id = ?", bucketID).Scan(&e.last)
	return e, unavailable(err)
}

// Next gives the next page, in the order of arrival; io.EOF after the last.
func (e *Export) Next(ctx context.Context) ([]Memory, error) {
	page, err := e.keeper.query(ctx, e.tenant, " WHERE m.tenant = ? AND m.bucket_id = ? AND m.seq > ? AND m.seq <= ? AND m.context = 0 ORDER BY m.seq LIMIT ?",
		e.tenant, e.bucketID, e.after, e.last, exportPage)
	if err != nil {
		return nil, err
	}
	if len(page) == 0 {
		return nil, io.EOF
	}
	e.after = page[len(page)-1].seq
	now := time.Now()
	return slices.DeleteFunc(page, func(m Memory) bool { return !m.live(now) }), nil
}

// Each calls each for the memories of an export.
func (k *Keeper) Each(ctx context.Context, tenant, bucket string, each func(m *Memory) error) error {
	e, err := k.Export(ctx, tenant, bucket)
	for err == nil {
		var page []Memory
		page, err = e.Next(ctx)
		for i := range page {
			if err := each(&page[i]); err != nil {
				return err
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// Get gives one memory.
func (k *Keeper) Get(ctx context.Context, tenant, bucket, id string) (Memory, error) {
	all, err := k.query(ctx, tenant, " WHERE m.tenant = ? AND b.name = ? AND m.id = ?", tenant, bucket, id)
	if err != nil {
		return Memory{}, err
	}
	if len(all) == 0 || !all[0].live(time.Now()) {
		return Memory{}, ErrNotFound
	}
	return all[0], nil
}

// Version is what a memory said until it was changed.
type Version struct {
	Version int
	Content string
	Until   time.Time
}

// History gives a memory and what it said before, oldest first.
func (k *Keeper) History(ctx context.Context, tenant, bucket, id string) (Memory, []Version, error) {
	m, err := k.Get(ctx, tenant, bucket, id)
	if err != nil {
		return m, nil, err
	}
	all := []Version{}
	err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var v Version
		var until int64
		err := rows.Scan(&v.Version, &v.Content, &until)
		v.Until = timeOf(until)
		all = append(all, v)
		return err
	}, "SELECT v.version, v.content, v.until FROM versions v JOIN memories m ON m.seq = v.seq WHERE m.tenant = ? AND v.seq = ? ORDER BY v.version", tenant, m.seq)
	return m, all, unavailable(err)
}

// bucketID finds a tenant's bucket.
func (k *Keeper) bucketID(ctx context.Context, tenant, name string) (id string, err error) {
	err = k.o.Read.QueryRowContext(ctx, "SELECT id FROM buckets WHERE tenant = ? AND name = ?", tenant, name).Scan(&id)
	if err == sql.ErrNoRows {
		return "", ErrNotFound
	}
	return id, unavailable(err)
}

func (k *Keeper) query(ctx context.Context, tenant, where string, args ...any) ([]Memory, error) {
	rows, err := k.o.Read.QueryContext(ctx, selectMemories+where, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	all := []Memory{}
	err = eachMemory(rows, tenant, func(m *Memory) error {
		all = append(all, *m)
		return nil
	})
	return all, unavailable(err)
}
