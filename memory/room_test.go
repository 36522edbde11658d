package memory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// stored is what a tenant has in the store, by its rows.
func (b *bed) stored(tenant string) (bytes int64) {
	b.t.Helper()
	if err := b.database.Read.QueryRow(`SELECT coalesce(sum(? + length(CAST(m.content || m.facts || m.metadata || m.role || m.speaker || m.session AS BLOB))
		+ (SELECT coalesce(sum(length(CAST(v.content AS BLOB))), 0) FROM versions v WHERE v.seq = m.seq)), 0) FROM memories m WHERE m.tenant = ?`, rowBytes, tenant).Scan(&bytes); err != nil {
		b.t.Fatal(err)
	}
	return bytes
}

// TestTheBytesOfATenantAreBounded: whatever it stores, in however many buckets,
// and however it changes it.
func TestTheBytesOfATenantAreBounded(t *testing.T) {
	const bound = 1 << 20
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	long := strings.Repeat("é", 1000)
	facts := make([]string, MaxFacts)
	for i := range facts {
		facts[i] = long[:maxFactBytes]
	}
	for name, what := range map[string]Memory{
		"contents": {Content: strings.Repeat("x", MaxContentBytes)},
		"facts":    {Content: "x", Facts: facts},
		"metadata": {Content: "x", Metadata: []byte(`{"k":"` + strings.Repeat("x", 16_000) + `"}`)},
		"names":    {Content: "x", Role: long[:200], Speaker: long[:200], Session: long[:200]},
		"nothing":  {Content: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, func(o *Options) { o.MaxTenantBytes = bound }).hasty()
			var err error
			for i := 0; err == nil; i++ {
				if b.stored("acme") > bound {
					t.Fatalf("%d bytes are stored", b.stored("acme"))
				}
				w := Write{Bucket: fmt.Sprint("bucket-", i%7), Dedup: DedupOff}
				for range min(1+i/4, MaxBatch) {
					w.Memories = append(w.Memories, what)
				}
				_, err = b.Store(ctx, who, &w)
			}
			if !errors.Is(err, ErrTenantFull) || b.stored("acme") > bound || b.stored("acme") < bound/2 {
				t.Errorf("%v, %d bytes are stored", err, b.stored("acme"))
			}
			b.store("rival", "default", "Bob has a boat.")
			if err := b.DeleteBucket(ctx, who, "bucket-0"); err != nil {
				t.Fatal(err)
			}
			b.store("acme", "bucket-0", "There is room again.")
			if full, err := b.full(ctx, "acme"); full || err != nil {
				t.Errorf("full is %v, %v", full, err)
			}
		})
	}
	t.Run("changes", func(t *testing.T) {
		b := newBed(t, func(o *Options) { o.MaxTenantBytes = bound }).hasty()
		ids := b.store("acme", "default", "one apple", "two pears", "three plums", "four figs", "five dates", "six limes")
		var err error
		for i := 0; err == nil; i++ {
			if b.stored("acme") > bound || i > 1000 {
				t.Fatalf("%d bytes are stored", b.stored("acme"))
			}
			text := strings.Repeat(fmt.Sprint(i), 50_000)[:50_000]
			_, err = b.Update(ctx, who, "default", ids[i%len(ids)].ID, &Change{Content: &text})
		}
		if !errors.Is(err, ErrTenantFull) {
			t.Errorf("%v", err)
		}
		pinned := true
		if _, err := b.Update(ctx, who, "default", ids[0].ID, &Change{Pinned: &pinned}); err != nil {
			t.Errorf("a change that takes no room: %v", err)
		}
	})
}

// TestWhatStandsBesideMemoriesIsBounded: buckets' own texts and answers that are
// kept for an Idempotency-Key count, too, until they go.
func TestWhatStandsBesideMemoriesIsBounded(t *testing.T) {
	const bound = 256 << 10
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for name, grow := range map[string]func(b *bed, i int) error{
		"answers": func(b *bed, i int) error { // all of it is merged
			w := Write{Bucket: "default", Key: fmt.Sprint(i, strings.Repeat("k", 200)), Digest: []byte{1}}
			for range 100 {
				w.Memories = append(w.Memories, Memory{Content: "Ada keeps bees."})
			}
			_, err := b.Store(ctx, who, &w)
			return err
		},
		"buckets": func(b *bed, i int) error {
			_, err := b.CreateBucket(ctx, "acme", fmt.Sprint("bucket-", i), "", nil)
			return err
		},
		"descriptions": func(b *bed, i int) error {
			_, err := b.CreateBucket(ctx, "acme", fmt.Sprint("bucket-", i%200), strings.Repeat("x", 40*(1+i/200)), nil)
			return err
		},
		"profiles": func(b *bed, i int) error {
			if _, err := b.CreateBucket(ctx, "acme", fmt.Sprint("bucket-", i), "", nil); err != nil {
				return err
			}
			return b.SetProfile(ctx, "acme", fmt.Sprint("bucket-", i), &Profile{Text: strings.Repeat("x", MaxProfileBytes)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, func(o *Options) { o.MaxTenantBytes = bound }).hasty()
			b.store("rival", "default", "Bob has a boat.")
			var err error
			for i := 0; err == nil && i < 5000; i++ {
				err = grow(b, i)
			}
			if !errors.Is(err, ErrTenantFull) {
				t.Fatal(err)
			}
			b.mu.Lock()
			b.dead["acme"] = true
			b.mu.Unlock()
			if err := b.sweep(ctx); err != nil {
				t.Fatal(err)
			}
			if n, err := tenantBytes(ctx, b.o.Read, "acme"); n != 0 || err != nil {
				t.Errorf("%d bytes are counted at its end, %v", n, err)
			}
		})
	}
	b := newBed(t)
	long := Write{Bucket: "default", Key: strings.Repeat("k", maxKeyBytes+1), Memories: []Memory{{Content: "x"}}}
	if _, err := b.Store(ctx, who, &long); !errors.As(err, new(*InvalidError)) {
		t.Errorf("a key of %d bytes: %v", len(long.Key), err)
	}
	if err := b.SetProfile(ctx, "acme", "default", &Profile{Text: strings.Repeat("x", MaxProfileBytes+1)}); !errors.As(err, new(*InvalidError)) {
		t.Errorf("a profile that is too long: %v", err)
	}
}

// TestTheBytesOfABucketAreBounded: one takes a quarter of what all may hold in
// memory. One that is larger, as one of an older version may be, is found,
// changed and deleted from.
func TestTheBytesOfABucketAreBounded(t *testing.T) {
	const resident = 1 << 20
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	within := func(o *Options) { o.MaxResidentBytes = resident }
	b := newBed(t, within).hasty()
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		_, err = b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: fmt.Sprint("bees ", i, strings.Repeat(" roof", 1000))}}, Dedup: DedupOff})
	}
	if bytes := b.stored("acme"); !errors.Is(err, ErrTooLarge) || bytes > resident/bucketPart || bytes < resident/bucketPart/2 {
		t.Errorf("%v at %d bytes", err, bytes)
	}
	b.store("acme", "another", "Ada keeps bees.")

	old := newBed(t).hasty()
	old.fill("acme", "default", 4000)
	id := old.store("acme", "default", "Ada keeps bees.")[0].ID
	old.shut()
	again := openBed(t, old.path, within)
	if got := again.find("acme", "default", "Ada"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	text := "Ada keeps many more bees than before."
	if _, err := again.Update(ctx, who, "default", id, &Change{Content: &text}); err != nil {
		t.Error(err)
	}
	if _, err := again.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "one more"}}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if err := again.Delete(ctx, who, "default", id); err != nil {
		t.Error(err)
	}
}

// plan is how the store answers a question.
func (b *bed) plan(query string, args ...any) string {
	b.t.Helper()
	var lines []string
	if err := each(context.Background(), b.database.Read, func(rows *sql.Rows) error {
		var id, parent, unused int
		var line string
		err := rows.Scan(&id, &parent, &unused, &line)
		lines = append(lines, line)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...); err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestListsReadNoOtherTenantsExpired: what has expired in one bucket is found by
// that bucket.
func TestListsReadNoOtherTenantsExpired(t *testing.T) {
	if plan := newBed(t).plan(selectBuckets+" WHERE b.tenant = ?", 1, "acme"); !strings.Contains(plan, "(bucket_id=? AND expires_at>? AND expires_at<?)") {
		t.Error(plan)
	}
}

// TestPagesAreFoundByTheIndex: of the memories before a page nothing is read but
// their places in an index.
func TestPagesAreFoundByTheIndex(t *testing.T) {
	if plan := newBed(t).plan(pageSeqs, "b", 0, 1, 1, 1); plan != "SEARCH m USING COVERING INDEX memories_by_bucket (bucket_id=?)" {
		t.Error(plan)
	}
}
