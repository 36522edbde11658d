package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/wire"
)

// fill stores n memories of a bucket, one session in ten.
func (b *bed) fill(tenant, bucket string, n int) {
	b.t.Helper()
	for at := 0; at < n; at += MaxBatch {
		w := Write{Bucket: bucket, Dedup: DedupOff}
		for i := at; i < min(n, at+MaxBatch); i++ {
			w.Memories = append(w.Memories, Memory{Content: fmt.Sprintf("Note %d: the bees of hive %d moved to roof %d in week %d", i, i%97, i%31, i%53), Session: fmt.Sprint("s", i%10)})
		}
		if _, err := b.Store(context.Background(), &Caller{Tenant: tenant}, &w); err != nil {
			b.t.Fatal(err)
		}
	}
}

// hasty makes the store not wait for the disk: what is measured then is the work.
func (b *bed) hasty() *bed {
	b.t.Helper()
	if _, err := b.database.Write.Exec("PRAGMA synchronous = OFF"); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// inFiles counts how often a text is in the files of the data directory.
func (b *bed) inFiles(text string) (n int) {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(b.path), "*"))
	if err != nil || len(files) == 0 {
		b.t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			b.t.Fatal(err)
		}
		n += bytes.Count(content, []byte(text))
	}
	return n
}

// TestDeletedIsInNoFile: when a deletion of any kind has returned, no file of
// the data directory has a byte of what was deleted.
func TestDeletedIsInNoFile(t *testing.T) {
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for name, remove := range map[string]func(b *bed, id string) error{
		"one": func(b *bed, id string) error { return b.Delete(ctx, who, "default", id) },
		"a filter's": func(b *bed, _ string) error {
			_, err := b.DeleteAll(ctx, who, "default", &Filter{Speaker: "Eve"}, false)
			return err
		},
		"all":      func(b *bed, _ string) error { _, err := b.DeleteAll(ctx, who, "default", &Filter{}, false); return err },
		"a bucket": func(b *bed, _ string) error { return b.DeleteBucket(ctx, who, "default") },
		"a tenant": func(b *bed, _ string) error {
			b.mu.Lock()
			b.dead["acme"] = true
			b.mu.Unlock()
			return b.sweep(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.fill("rival", "default", 50)
			long := strings.Repeat("canary-4711 ", 600)
			got, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: long, Speaker: "Eve", Facts: []string{"canary-4711 is a fact"}, Metadata: []byte(`{"k":"canary-4711"}`)}}})
			if err != nil {
				t.Fatal(err)
			}
			b.fill("acme", "default", 50)
			changed := "canary-4711 was changed"
			if _, err := b.Update(ctx, who, "default", got[0].ID, &Change{Content: &changed}); err != nil {
				t.Fatal(err)
			}
			if b.inFiles("canary-4711") == 0 {
				t.Fatal("it is in no file before the deletion: the search does not work")
			}
			if err := remove(b, got[0].ID); err != nil {
				t.Fatal(err)
			}
			if n := b.inFiles("canary-4711"); n != 0 {
				t.Errorf("it is in the files %d times", n)
			}
		})
	}
}

// TestLongDeletionsHoldNobodyUp: while a bucket of many memories is deleted,
// recalls from it and stores of another tenant go on. Nine of ten recalls take no
// more than some deadlines longer than beside an idle store, as the processor is
// shared, and no store waits for a large part of the deletion.
func TestLongDeletionsHoldNobodyUp(t *testing.T) {
	const n, deadline = 20_000, 20 * time.Millisecond
	b := newBed(t).hasty()
	b.fill("acme", "default", n)
	b.store("rival", "default", "Bob has a boat.")
	b.find("acme", "default", "bees") // into memory
	ctx := context.Background()
	asked := 0
	once := func() (recall, store time.Duration) {
		asked++
		question := []byte(fmt.Sprint("Where did the bees of hive ", asked, " move?"))
		began := time.Now()
		if _, err := b.Recall(&Recall{Tenant: "acme", Buckets: []string{"default"}, Question: wire.NewText(&question), TopK: 8, MaxTokens: 800, Timeout: deadline}); err != nil && !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		recall = time.Since(began)
		began = time.Now()
		b.store("rival", "default", fmt.Sprint("Bob has boat number ", asked))
		return recall, time.Since(began)
	}
	var recall, store, idle []time.Duration
	for range 50 {
		r, _ := once()
		idle = append(idle, r)
	}
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		deleted, err := b.DeleteAll(ctx, &Caller{Tenant: "acme"}, "default", &Filter{After: time.Unix(1, 0)}, false)
		if err != nil || deleted != n {
			t.Errorf("%d memories, %v", deleted, err)
		}
	}()
	for deleting := true; deleting; {
		select {
		case <-done:
			deleting = false
		default:
			r, s := once()
			recall, store = append(recall, r), append(store, s)
		}
	}
	whole := time.Since(began)
	if len(store) < n/sliceMemories/4 {
		t.Errorf("only %d stores and recalls came between", len(store))
	}
	if slow, usual := mostTake(recall), mostTake(idle); slow > usual+5*deadline {
		t.Errorf("nine of ten recalls took up to %v, beside an idle store %v", slow, usual)
	}
	if slow := slices.Max(store); slow > whole/4 { // a store waits for a slice or two of forty
		t.Errorf("a store of another tenant took %v of the %v that the deletion took", slow, whole)
	}
	if got := b.find("acme", "default", "bees"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if h, err := b.Holdings(ctx, "acme"); err != nil || h.Memories != 0 || h.Bytes != 0 {
		t.Errorf("%+v %v", h, err)
	}
}

// mostTake is what nine of ten take no longer than.
func mostTake(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*9/10]
}

// TestADeletionThatWaitsForAReaderSaysSo: while a reader holds the log, a
// deletion of any kind says that text is left in a file; nothing finds it, and
// when the reader has ended no file has it.
func TestADeletionThatWaitsForAReaderSaysSo(t *testing.T) {
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for name, remove := range map[string]func(b *bed, id string) error{
		"one":      func(b *bed, id string) error { return b.Delete(ctx, who, "default", id) },
		"all":      func(b *bed, _ string) error { _, err := b.DeleteAll(ctx, who, "default", &Filter{}, false); return err },
		"a bucket": func(b *bed, _ string) error { return b.DeleteBucket(ctx, who, "default") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			id := b.store("acme", "default", "canary-4711 is here")[0].ID
			reader, err := b.database.Read.BeginTx(ctx, nil)
			if err == nil {
				err = reader.QueryRow("SELECT count(*) FROM memories").Scan(new(int))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := remove(b, id); !errors.Is(err, ErrErasePending) {
				t.Errorf("%v, while the files have it %d times", err, b.inFiles("canary-4711"))
			}
			if got := b.find("acme", "default", "canary-4711"); len(got) != 0 {
				t.Errorf("%q", got)
			}
			if err := reader.Rollback(); err != nil {
				t.Fatal(err)
			}
			if err := b.database.Erase(ctx); err != nil || b.inFiles("canary-4711") != 0 {
				t.Errorf("%v; it is in the files %d times", err, b.inFiles("canary-4711"))
			}
		})
	}
}

// TestDeletionsAreLinear: deleting twice as many takes about twice as long.
func TestDeletionsAreLinear(t *testing.T) {
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	measure := func(n int) time.Duration {
		best := time.Hour
		for range 2 {
			b := newBed(t).hasty()
			b.fill("acme", "default", n)
			b.find("acme", "default", "bees")
			began := time.Now()
			if _, err := b.DeleteAll(ctx, who, "default", &Filter{After: time.Unix(1, 0)}, false); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
			b.shut()
		}
		return best
	}
	const most = 6
	ratio := float64(most + 1)
	for try := 0; try < 3 && ratio > most; try++ { // other work on the machine slows one of them down
		small, large := measure(1500), measure(6000)
		ratio = float64(large) / float64(small)
		t.Logf("four times as many take %.1f times as long (%v, %v)", ratio, small, large)
	}
	if ratio > most {
		t.Errorf("four times as many take %.1f times as long", ratio)
	}
}

// TestBrokenDeletionsAreFinished: a deletion that a crash broke off anywhere is
// finished at the next start, with one event for each memory, and what was
// stored meanwhile stays.
func TestBrokenDeletionsAreFinished(t *testing.T) {
	ctx, who := context.Background(), &Caller{Tenant: "acme", Token: "tok"}
	for slices := range 3 {
		for _, whole := range []bool{false, true} {
			b := newBed(t).hasty()
			b.fill("acme", "default", 3*sliceMemories)
			d := b.brokenDeletion(who, slices, whole)
			b.store("acme", "default", "Ada keeps bees now.", "Note 383: the bees of hive 92 moved to roof 11 in week 12")
			b.shut()
			again := openBed(t, b.path)
			if err := again.sweep(ctx); err != nil {
				t.Fatal(err)
			}
			got := again.find("acme", "default", "bees roof note")
			if len(got) != 2 || again.inFiles("the bees of hive 1 ") != 0 {
				t.Errorf("after %d slices of %+v: %q is left, and in the files %d", slices, d, got, again.inFiles("the bees of hive 1 "))
			}
			again.shut()
			deleted := int64(0)
			for _, e := range append(b.events, again.events...) {
				if e.Op == Deleted {
					deleted += e.Count
					if e.Token != "tok" {
						t.Errorf("%+v", e)
					}
				}
			}
			if deleted != 3*sliceMemories {
				t.Errorf("%d deletions are billed", deleted)
			}
		}
	}
}

// brokenDeletion begins a deletion of all and stops after some slices.
func (b *bed) brokenDeletion(who *Caller, slices int, whole bool) *deletion {
	b.t.Helper()
	ctx := context.Background()
	place, err := b.begin(ctx, who.Tenant, "default")
	if err != nil {
		b.t.Fatal(err)
	}
	d := &deletion{who: *who, bucket: place.key, at: time.Now(), whole: whole}
	tx, err := b.database.Write.Begin()
	if err == nil {
		err = d.writeDown(ctx, tx)
	}
	if err == nil {
		err = tx.Commit()
	}
	b.deleting.add(d, true)
	b.end(place)
	for range slices {
		var seqs []int64
		if seqs, err = b.nextSlice(ctx, d, 0); err == nil {
			_, err = b.deleteSlice(ctx, d, seqs)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// TestWhatIsStoredDuringADeletionStays: a memory that is stored while an equal
// one is about to be deleted is not merged into that, and a bucket into which
// something was stored is not deleted.
func TestWhatIsStoredDuringADeletionStays(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	file := []Memory{{ID: "m-one", Content: "Ada keeps bees."}}
	if _, err := b.Import(ctx, who, "default", slices.Clone(file)); err != nil {
		t.Fatal(err)
	}
	d := b.brokenDeletion(who, 0, true)
	if got := b.find("acme", "default", "bees"); len(got) != 0 {
		t.Errorf("loaded although it is about to be deleted: %q", got)
	}
	for range 2 {
		got, err := b.Import(ctx, who, "default", slices.Clone(file))
		if err != nil || got[0].ID == "m-one" {
			t.Errorf("%+v %v", got, err)
		}
	}
	if _, err := b.carryOut(ctx, d); err != nil {
		t.Fatal(err)
	}
	if got := b.find("acme", "default", "bees"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if page, total, err := b.Buckets(ctx, "acme", 10, 0); err != nil || total != 1 || page[0].Memories != 1 {
		t.Errorf("%+v %d %v", page, total, err)
	}
}

// TestCountersAreExact: whatever is done, by several at once, and after a crash,
// a bucket's and a tenant's counters are what counting gives.
func TestCountersAreExact(t *testing.T) {
	b := newBed(t)
	var both sync.WaitGroup
	for i, tenant := range []string{"left", "right"} {
		both.Go(func() { history(b, tenant, uint64(i), 400) })
	}
	both.Wait()
	check := func() {
		t.Helper()
		var wrong int
		if err := b.database.Read.QueryRow(`SELECT (SELECT count(*) FROM buckets b WHERE
			memories <> (SELECT count(*) FROM memories m WHERE m.bucket_id = b.id) OR
			bytes <> (SELECT coalesce(sum(length(CAST(content AS BLOB))), 0) FROM memories m WHERE m.bucket_id = b.id)
				+ (SELECT coalesce(sum(length(CAST(v.content AS BLOB))), 0) FROM versions v JOIN memories m ON m.seq = v.seq WHERE m.bucket_id = b.id))
			+ (SELECT count(*) FROM holdings h WHERE
				buckets <> (SELECT count(*) FROM buckets b WHERE b.tenant = h.tenant) OR
				memories <> (SELECT sum(memories) FROM buckets b WHERE b.tenant = h.tenant) OR
				bytes <> (SELECT sum(bytes) FROM buckets b WHERE b.tenant = h.tenant))
			+ (SELECT count(DISTINCT tenant) FROM buckets) - (SELECT count(*) FROM holdings)`).Scan(&wrong); err != nil || wrong != 0 {
			t.Errorf("%d counters are wrong, %v", wrong, err)
		}
	}
	check()
	b.shut()
	b = openBed(t, b.path)
	check()
}

// TestDeletionsDoNotReadAllJobs: a memory's jobs are found by it, however many jobs
// of anybody wait for a budget.
func TestDeletionsDoNotReadAllJobs(t *testing.T) {
	b := newBed(t).hasty()
	ctx := context.Background()
	took := func(bucket string) time.Duration {
		b.fill("acme", bucket, 500)
		began := time.Now()
		if n, err := b.DeleteAll(ctx, &Caller{Tenant: "acme"}, bucket, &Filter{}, false); err != nil || n != 500 {
			t.Fatalf("%d, %v", n, err)
		}
		return time.Since(began)
	}
	few := took("before")
	b.fill("rival", "default", 4_000)
	for kind := range 2 {
		if _, err := b.database.Write.Exec("INSERT INTO jobs (kind, seq, tenant, attempts, not_before) SELECT ?, seq, tenant, 0, 0 FROM memories", kind); err != nil {
			t.Fatal(err)
		}
	}
	if many := took("after"); many > 10*few {
		t.Errorf("500 memories are deleted in %v beside 8,000 jobs of another tenant, in %v without", many, few)
	}
}
