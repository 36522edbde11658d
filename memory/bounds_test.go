package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestNothingIsKeptForABucketThatIsNotThere: asking for names that do not exist,
// and failing to change what is in them, leaves nothing in memory and nothing in
// the store.
func TestNothingIsKeptForABucketThatIsNotThere(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	b.find("acme", "default", "bees")
	before := b.ResidentBytes()
	text := "x"
	for i := range 500 {
		name := fmt.Sprint("no-such-bucket-", i)
		if got := b.find("acme", name, "bees"); len(got) != 0 {
			t.Fatalf("%q", got)
		}
		for what, err := range map[string]error{
			"delete": b.Delete(ctx, who, name, "m1"), "drop": b.DeleteBucket(ctx, who, name),
			"update": func() error { _, err := b.Update(ctx, who, name, "m1", &Change{Content: &text}); return err }(),
			"clear":  func() error { _, err := b.DeleteAll(ctx, who, name, &Filter{}, false); return err }(),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	known := 0
	b.buckets.Range(func(bucketKey, *bucket) bool { known++; return true })
	if known != 1 || b.ResidentBytes() != before {
		t.Errorf("%d buckets are known, %d bytes held, before %d", known, b.ResidentBytes(), before)
	}
	var rows int
	if err := b.database.Read.QueryRow("SELECT (SELECT count(*) FROM buckets) + (SELECT count(*) FROM deletions)").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// TestEmptyAnswersAreRememberedToo: the same question to a bucket that is not
// there is billed once, as to one that is.
func TestEmptyAnswersAreRememberedToo(t *testing.T) {
	b := newBed(t)
	for i, want := range []bool{true, false, false} {
		if got := b.recall("acme", "Who keeps bees?"); got.Billable != want {
			t.Errorf("time %d: billable is %v", i, got.Billable)
		}
	}
	if got := b.recall("rival", "Who keeps bees?"); !got.Billable {
		t.Error("another tenant's question was not the same")
	}
}

// TestResidentBytesAreWhatIsHeld: the gauge is within a quarter of what the heap
// has grown by, whatever the buckets look like.
func TestResidentBytesAreWhatIsHeld(t *testing.T) {
	for name, shape := range map[string]struct {
		buckets, memories int
		text              func(i int) string
		ask               bool
	}{
		"small buckets": {40, 50, func(i int) string {
			return fmt.Sprintf("Note %d: the bees of hive %d moved to roof %d in week %d", i, i*7%97, i%31, i*3%53)
		}, false},
		"tiny buckets, asked":  {300, 1, func(i int) string { return fmt.Sprint("Ada keeps bees ", i) }, true},
		"one large bucket":     {1, 2000, func(i int) string { return fmt.Sprintf("Note %d: the bees of hive %d moved to roof %d", i, i%97, i%31) }, false},
		"long texts":           {4, 40, func(i int) string { return strings.Repeat(fmt.Sprintf("word%d of many others ", i), 300) }, false},
		"many different words": {3, 150, manyWords, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t).hasty()
			for at := range shape.buckets {
				w := Write{Bucket: fmt.Sprint("bucket-", at), Dedup: DedupOff}
				for i := range shape.memories {
					w.Memories = append(w.Memories, Memory{Content: shape.text(at + i), Session: fmt.Sprint("s", i/10), Speaker: "Ada"})
					if len(w.Memories) == MaxBatch || i == shape.memories-1 {
						if _, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &w); err != nil {
							t.Fatal(err)
						}
						w.Memories = nil
					}
				}
			}
			b.fill("acme", "first", 1)
			b.find("acme", "first", "bees") // what SQLite's connections keep is no bucket's
			before, saidBefore := heap(), b.ResidentBytes()
			for at := range shape.buckets {
				question := "bees"
				for q := range 9 {
					b.find("acme", fmt.Sprint("bucket-", at), question)
					if question = fmt.Sprint("bees of hive ", q); !shape.ask {
						break
					}
				}
			}
			grown, said := heap()-before, b.ResidentBytes()-saidBefore
			if ratio := float64(said) / float64(grown); ratio < .75 || ratio > 1.25 {
				t.Errorf("%d bytes are reported, the heap has grown by %d: %.2f", said, grown, ratio)
			}
			runtime.KeepAlive(b)
		})
	}
}

func manyWords(i int) string {
	var b strings.Builder
	for w := range 60 {
		fmt.Fprintf(&b, "w%dx%d ", i, w)
	}
	return b.String()
}

// heap is what is alive.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools keep what they have for one round
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestTheBoundHolds: with buckets of any size, what is held stays within the
// bound and the one bucket that is being used.
func TestTheBoundHolds(t *testing.T) {
	const bound, buckets = 256 << 10, 60
	b := newBed(t, func(o *Options) { o.MaxResidentBytes = bound }).hasty()
	for at := range buckets {
		b.fill("acme", fmt.Sprint("bucket-", at), 1+at%40)
	}
	for range 2 {
		for at := range buckets {
			for q := range 9 {
				b.find("acme", fmt.Sprint("bucket-", at), fmt.Sprint("bees of hive ", q))
			}
			if held := b.ResidentBytes(); held > bound+bound/4 {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	sum := int64(0)
	b.buckets.Range(func(_ bucketKey, one *bucket) bool {
		if r := one.resident.Load(); r != nil {
			sum += r.measured.Load() + r.answers.bytes
		}
		return true
	})
	if b.Counts().Evictions.Load() < buckets {
		t.Errorf("%d evictions: the buckets fit", b.Counts().Evictions.Load())
	}
	if held := b.ResidentBytes(); held != sum {
		t.Errorf("%d bytes are reported, the buckets have %d", held, sum)
	}
}

// TestALargeBucketLeavesRoomForOthers: one that is larger than the bound, as one
// of an older version may be, is loaded once, and the small ones that are asked
// between stay beside it.
func TestALargeBucketLeavesRoomForOthers(t *testing.T) {
	const bound = 512 << 10
	b := newBed(t).hasty()
	b.fill("large", "default", 1500)
	for at := range 10 {
		b.fill("acme", fmt.Sprint("bucket-", at), 10)
	}
	b.find("large", "default", "bees")
	size := b.ResidentBytes()
	if size < bound {
		t.Fatalf("the large bucket has %d bytes, the bound is %d", size, bound)
	}
	b.shut()
	again := openBed(t, b.path, func(o *Options) { o.MaxResidentBytes = bound })
	for round := range 5 {
		for at := range 10 {
			again.find("large", "default", fmt.Sprint("bees of hive ", round, at))
			again.find("acme", fmt.Sprint("bucket-", at), fmt.Sprint("bees of hive ", round))
		}
	}
	if loads, evictions := again.Counts().Loads.Load(), again.Counts().Evictions.Load(); loads != 11 || evictions != 0 {
		t.Errorf("%d loads of 11 buckets, %d were let go of", loads, evictions)
	}
	if held := again.ResidentBytes(); held > size+bound/2 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxTenantBuckets = 3 })
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for i := range 3 {
		b.store("acme", fmt.Sprint("bucket-", i), "x")
	}
	_, err := b.Store(ctx, who, &Write{Bucket: "one-more", Memories: []Memory{{Content: "x"}}})
	if _, cerr := b.CreateBucket(ctx, "acme", "one-more", "", nil); !errors.Is(err, ErrTooManyBuckets) || !errors.Is(cerr, ErrTooManyBuckets) {
		t.Errorf("%v, %v", err, cerr)
	}
	b.store("acme", "bucket-0", "another into one there is")
	b.store("rival", "one-more", "x")
	if err := b.DeleteBucket(ctx, who, "bucket-1"); err != nil {
		t.Fatal(err)
	}
	b.store("acme", "one-more", "x")
}

// TestHistoryIsBounded: of a memory that changes often, the newest versions are
// kept, within bounds of number and bytes.
func TestHistoryIsBounded(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	id := b.store("acme", "default", "version 1")[0].ID
	change := func(text string) {
		t.Helper()
		if _, err := b.Update(ctx, who, "default", id, &Change{Content: &text}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxVersions + 9 {
		change(fmt.Sprint("version ", i+2))
	}
	m, old, err := b.History(ctx, "acme", "default", id)
	if err != nil || len(old) != maxVersions || old[len(old)-1].Version != m.Version-1 || old[0].Content != "version 10" {
		t.Errorf("%d versions, the first %+v, %v", len(old), old[0], err)
	}
	long := strings.Repeat("x", maxHistoryBytes/3)
	for i := range 6 {
		change(fmt.Sprint(i, long))
	}
	_, old, err = b.History(ctx, "acme", "default", id)
	bytes := int64(0)
	for _, v := range old {
		bytes += int64(len(v.Content))
	}
	if err != nil || bytes > maxHistoryBytes || len(old) != 2 {
		t.Errorf("%d versions of %d bytes, %v", len(old), bytes, err)
	}
	if h, err := b.Holdings(ctx, "acme"); err != nil || h.Bytes != bytes+int64(len(long)+1) || h.Memories != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestBucketNames(t *testing.T) {
	for name, good := range map[string]bool{
		"default": true, "a": true, "user:42@example.com/notes_2.x-y": true, "Bücher": true, "記憶": true, "हिन्दी": true, "٣": true, strings.Repeat("é", 128): true, "an old name": true, "a/b/c": true, "a.b": true,
		"": false, ".": false, "..": false, "../b": false, "a/./b": false, "a//b": false, "/a": false, "a/": false, strings.Repeat("é", 129): false, " a": false, "a,b": false, "a%b": false, "a\nb": false, "a\n": false, "a\x00": false, "<b>": false, "a\u200bb": false, "\xff": false, "😀": false, "a?b": false,
	} {
		if err := CheckBucket(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
