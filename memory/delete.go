package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of one slice of a deletion: a transaction of some ten milliseconds,
// behind which the writers of other buckets have their turn.
const (
	sliceMemories = 512
	sliceBytes    = 1 << 20
)

// doomed is a memory that is about to be deleted.
type doomed struct {
	seq   int64
	id    string
	bytes int64     // of its content
	at    time.Time // from when on it does not count
	// context was no memory on the bill.
	context bool
}

// deletion is a deletion of many memories: those of a bucket up to a certain one
// that a filter chooses. It is written down before it begins, so that a crash
// breaks it off for no longer than until the next start, and carried out in
// slices. What is stored into the bucket meanwhile stays.
type deletion struct {
	id       int64 // 0: not written down, as it is found again by itself
	who      Caller
	bucket   bucketKey
	bucketID string
	at       time.Time
	upto     int64
	filter   Filter
	whole    bool // the bucket goes, too
}

// where is what it deletes, as a condition on memories m.
func (d *deletion) where() (condition string, args []any) {
	condition, args = d.filter.where()
	return "m.bucket_id = ? AND m.seq <= ?" + condition, append([]any{d.bucketID, d.upto}, args...)
}

// maxDeletions is how many deletions of many memories one bucket may have under
// way: each is a condition of what is read of the bucket meanwhile.
const maxDeletions = 16

// deletions are those that were begun and not finished.
type deletions struct {
	mu      sync.Mutex
	all     []*deletion
	running map[*deletion]bool
}

// add notes a deletion; with run, the caller carries it out.
func (d *deletions) add(one *deletion, run bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		d.running = map[*deletion]bool{}
	}
	d.all = append(d.all, one)
	d.running[one] = run
}

// waiting gives those that nobody carries out, for the caller to do all of them.
func (d *deletions) waiting() (all []*deletion) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.all {
		if !d.running[one] {
			d.running[one] = true
			all = append(all, one)
		}
	}
	return all
}

// many reports whether a bucket has as many under way as it may have.
func (d *deletions) many(bucket bucketKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, one := range d.all {
		if one.bucket == bucket {
			n++
		}
	}
	return n >= maxDeletions
}

// leave ends the caller's work on one: it is done, or waits for somebody else.
func (d *deletions) leave(one *deletion, done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !done {
		d.running[one] = false
		return
	}
	delete(d.running, one)
	d.all = slices.DeleteFunc(d.all, func(other *deletion) bool { return other == one })
}

// alive is a condition on memories m of a bucket: they are not about to be
// deleted.
func (d *deletions) alive(bucketID string) (condition string, args []any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.all {
		if one.bucketID == bucketID {
			where, of := one.where()
			condition, args = condition+" AND ("+where+") IS NOT TRUE", append(args, of...)
		}
	}
	return condition, args
}

// Delete deletes one memory: its row with every version, its words, its vector,
// what is left to do for it, and the answers it may stand in. When Delete
// returns, no recall can find it, and its text is in no file. ErrErasePending: it
// is deleted, and its text stays in a file until a reader of it has ended.
func (k *Keeper) Delete(ctx context.Context, who *Caller, bucket, id string) error {
	b, err := k.begin(ctx, who.Tenant, bucket)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err = k.deleteOne(ctx, b, who, id)
	k.end(b)
	if err != nil {
		return err
	}
	wake(k.wakeEvents)
	return k.erase(ctx)
}

func (k *Keeper) deleteOne(ctx context.Context, b *bucket, who *Caller, id string) error {
	var all []doomed
	err := k.write(ctx, func(tx *sql.Tx) error {
		bucketID, err := bucketIDIn(ctx, tx, b.key)
		if err == nil {
			all, err = choose(ctx, tx, time.Now(), "m.tenant = ? AND m.bucket_id = ? AND m.id = ?", who.Tenant, bucketID, id)
		}
		if err == nil && len(all) == 0 {
			err = ErrNotFound
		}
		if err == nil {
			err = drop(ctx, tx, all)
		}
		if err == nil {
			err = addDeletions(ctx, tx, who, bucketID, time.Now(), all)
		}
		return err
	})
	if err == nil {
		k.apply(b, func(r *resident) {
			r.remove(all)
			r.clean()
		})
	}
	return err
}

// DeleteAll deletes the memories of a bucket that f chooses, and says how many
// they are. With dry it deletes none. When it returns, no recall can find them;
// after an error some may be there still, and are deleted later; after
// ErrErasePending none is, and it is as Delete says.
func (k *Keeper) DeleteAll(ctx context.Context, who *Caller, bucket string, f *Filter, dry bool) (int64, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if dry {
		condition, args := f.where()
		if !f.Empty() {
			k.searching.Lock(who.Tenant)
			defer k.searching.Unlock()
		}
		var n int64
		err := k.o.Read.QueryRowContext(ctx, "SELECT count(*) FROM memories m JOIN buckets b ON b.id = m.bucket_id WHERE m.tenant = ? AND b.tenant = m.tenant AND b.name = ? AND m.context = 0"+condition,
			append([]any{who.Tenant, bucket}, args...)...).Scan(&n)
		return n, unavailable(err)
	}
	n, err := k.deleteMany(ctx, who, bucket, f, false)
	if err == nil {
		err = k.erase(ctx)
	}
	return n, err
}

// DeleteBucket deletes a bucket with all its memories, as DeleteAll does.
func (k *Keeper) DeleteBucket(ctx context.Context, who *Caller, bucket string) error {
	_, err := k.deleteMany(ctx, who, bucket, &Filter{}, true)
	if err == nil {
		err = k.erase(ctx)
	}
	return err
}

// erase waits until the files are free of what was deleted. What is late is
// erased in the background: ErrErasePending.
func (k *Keeper) erase(ctx context.Context) error {
	if err := k.o.Erase(ctx); err != nil {
		k.counts.ErasedLate.Add(1)
		return errors.Join(ErrErasePending, err)
	}
	return nil
}

func (k *Keeper) deleteMany(ctx context.Context, who *Caller, bucket string, f *Filter, whole bool) (int64, error) {
	ctx, cancelled := context.WithoutCancel(ctx), ctx
	b, err := k.begin(cancelled, who.Tenant, bucket)
	if err != nil {
		return 0, err
	}
	if k.deleting.many(b.key) {
		k.end(b)
		return 0, ErrBusy
	}
	d := &deletion{who: *who, bucket: b.key, at: time.Now(), filter: *f, whole: whole}
	if err = k.write(ctx, func(tx *sql.Tx) error { return d.writeDown(ctx, tx) }); err == nil {
		k.deleting.add(d, true)
		if f.Empty() && b.resident.Load() != nil { // at once, whatever the number
			k.drop(b)
			k.settle(b, newResident(b.key, d.bucketID, &k.held))
		}
	}
	k.end(b)
	if err != nil {
		return 0, err
	}
	return k.carryOut(ctx, d)
}

// writeDown makes the deletion last, before anything of it is done. What the
// bucket itself says of its memories goes with it.
func (d *deletion) writeDown(ctx context.Context, tx *sql.Tx) (err error) {
	if d.bucketID, err = bucketIDIn(ctx, tx, d.bucket); err != nil {
		return err
	}
	if err = tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM memories WHERE bucket_id = ?", d.bucketID).Scan(&d.upto); err != nil {
		return err
	}
	filter, err := json.Marshal(&d.filter)
	if err != nil {
		return err
	}
	r, err := tx.ExecContext(ctx, "INSERT INTO deletions (tenant, bucket_id, token, request_id, at, upto, filter, whole) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		d.who.Tenant, d.bucketID, d.who.Token, d.who.RequestID[:], d.at.UnixMicro(), d.upto, string(filter), d.whole)
	if err != nil {
		return err
	}
	if d.id, err = r.LastInsertId(); err != nil || !d.filter.Empty() {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE buckets SET profile = NULL, profile_at = 0, profile_memories = 0, profile_source = '' WHERE id = ?", d.bucketID)
	return err
}

// readDeletions reads what a process that died has left.
func (k *Keeper) readDeletions(ctx context.Context) error {
	if _, err := k.o.Write.ExecContext(ctx, "DELETE FROM deletions WHERE bucket_id NOT IN (SELECT id FROM buckets)"); err != nil {
		return unavailable(err)
	}
	return unavailable(each(ctx, k.o.Read, func(rows *sql.Rows) error {
		d := &deletion{}
		var request []byte
		var at int64
		var filter string
		err := rows.Scan(&d.id, &d.who.Tenant, &d.bucket.name, &d.bucketID, &d.who.Token, &request, &at, &d.upto, &filter, &d.whole)
		if err == nil {
			err = json.Unmarshal([]byte(filter), &d.filter)
		}
		copy(d.who.RequestID[:], request)
		d.bucket.tenant, d.at = d.who.Tenant, timeOf(at)
		k.deleting.add(d, false)
		return err
	}, "SELECT d.id, d.tenant, b.name, d.bucket_id, d.token, d.request_id, d.at, d.upto, d.filter, d.whole FROM deletions d JOIN buckets b ON b.id = d.bucket_id ORDER BY d.id"))
}

// carryOut does a deletion slice by slice, and says how many memories it were.
// The caller runs it, by deletions.add or deletions.waiting.
func (k *Keeper) carryOut(ctx context.Context, d *deletion) (n int64, err error) {
	defer func() { k.deleting.leave(d, err == nil) }()
	for after := int64(0); ; {
		seqs, err := k.nextSlice(ctx, d, after)
		if err != nil {
			return n, err
		}
		if len(seqs) == 0 {
			break
		}
		deleted, err := k.deleteSlice(ctx, d, seqs)
		if err != nil {
			return n, err
		}
		after = seqs[len(seqs)-1]
		n += deleted
	}
	return n, k.concludeDeletion(ctx, d)
}

// nextSlice finds the next memories. It reads: no writer waits for the search.
func (k *Keeper) nextSlice(ctx context.Context, d *deletion, after int64) (seqs []int64, err error) {
	condition, args := d.where()
	if !d.filter.Empty() {
		k.searching.Lock(d.who.Tenant)
		defer k.searching.Unlock()
	}
	var bytes int64
	err = each(ctx, k.o.Read, func(rows *sql.Rows) error {
		var seq, size int64
		err := rows.Scan(&seq, &size)
		if bytes += size; bytes <= sliceBytes || len(seqs) == 0 {
			seqs = append(seqs, seq)
		}
		return err
	}, "SELECT m.seq, length(CAST(m.content AS BLOB)) + (SELECT coalesce(sum(length(CAST(v.content AS BLOB))), 0) FROM versions v WHERE v.seq = m.seq) FROM memories m WHERE "+
		condition+" AND m.seq > ? ORDER BY m.seq LIMIT ?", append(args, after, sliceMemories)...)
	return seqs, unavailable(err)
}

// deleteSlice deletes the memories of one slice that are still to be deleted.
func (k *Keeper) deleteSlice(ctx context.Context, d *deletion, seqs []int64) (int64, error) {
	b, err := k.await(ctx, d.bucket, 0)
	if err != nil {
		return 0, err
	}
	defer k.end(b)
	var all []doomed
	err = k.write(ctx, func(tx *sql.Tx) error {
		condition, args := d.where()
		for _, seq := range seqs {
			args = append(args, seq)
		}
		all, err = choose(ctx, tx, d.at, condition+" AND m.seq IN (?"+strings.Repeat(", ?", len(seqs)-1)+")", args...)
		if err == nil {
			err = drop(ctx, tx, all)
		}
		if err == nil {
			err = addDeletions(ctx, tx, &d.who, d.bucketID, d.at, all)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	k.apply(b, func(r *resident) { r.remove(all) })
	return int64(len(all) - contextsOf(all)), nil
}

// concludeDeletion ends a deletion of which nothing is left to do.
func (k *Keeper) concludeDeletion(ctx context.Context, d *deletion) error {
	b, err := k.await(ctx, d.bucket, 0)
	if err != nil {
		return err
	}
	defer k.end(b)
	dropped := int64(0)
	if err := k.write(ctx, func(tx *sql.Tx) error {
		if d.whole {
			r, err := tx.ExecContext(ctx, "DELETE FROM buckets WHERE tenant = ? AND id = ? AND NOT EXISTS (SELECT 1 FROM memories WHERE bucket_id = ?)", d.who.Tenant, d.bucketID, d.bucketID)
			if err == nil {
				dropped, err = r.RowsAffected()
			}
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM deletions WHERE id = ?", d.id)
		return err
	}); err != nil {
		return err
	}
	if dropped > 0 {
		k.drop(b)
	}
	k.apply(b, (*resident).clean)
	wake(k.wakeEvents)
	return nil
}

// choose lists the memories that are about to be deleted.
func choose(ctx context.Context, tx *sql.Tx, at time.Time, where string, args ...any) (all []doomed, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT m.seq, m.id, length(CAST(m.content AS BLOB)), m.expires_at, m.context FROM memories m WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		d := doomed{at: at}
		var expires int64
		if err := rows.Scan(&d.seq, &d.id, &d.bytes, &expires, &d.context); err != nil {
			return nil, err
		}
		if e := timeOf(expires); expires != 0 && e.Before(at) {
			d.at = e
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// contextsOf counts those that are no memories on the bill.
func contextsOf(all []doomed) (n int) {
	for i := range all {
		if all[i].context {
			n++
		}
	}
	return n
}

// drop deletes rows, and by their foreign keys all that belongs to them.
func drop(ctx context.Context, tx *sql.Tx, all []doomed) error {
	one, err := tx.PrepareContext(ctx, "DELETE FROM memories WHERE seq = ?") // its triggers are compiled once
	if err != nil {
		return err
	}
	defer one.Close() //nolint:errcheck // it ends with tx
	for _, d := range all {
		if _, err := one.ExecContext(ctx, d.seq); err != nil {
			return err
		}
	}
	return nil
}

// addDeletions tells the meter: in one event what goes now, and one for each
// that had expired before.
func addDeletions(ctx context.Context, tx *sql.Tx, who *Caller, bucketID string, now time.Time, all []doomed) error {
	var n, bytes int64
	for _, d := range all {
		if d.context {
			continue
		}
		if d.at.Before(now.Add(-time.Minute)) {
			if err := addEvent(ctx, tx, who, bucketID, d.at, Deleted, 1, d.bytes); err != nil {
				return err
			}
			continue
		}
		n++
		bytes += d.bytes
	}
	if n == 0 {
		return nil
	}
	return addEvent(ctx, tx, who, bucketID, now, Deleted, n, bytes)
}

// bucketIDIn finds a tenant's bucket.
func bucketIDIn(ctx context.Context, tx *sql.Tx, key bucketKey) (id string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT id FROM buckets WHERE tenant = ? AND name = ?", key.tenant, key.name).Scan(&id)
	if err == sql.ErrNoRows {
		err = ErrNotFound
	}
	return id, err
}
