package memory

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/wire"
)

// bed is a keeper on a real file.
type bed struct {
	*Keeper
	t        testing.TB
	path     string
	database *db.DB

	mu       sync.Mutex
	events   []Event
	settings map[string]Settings
	dead     map[string]bool
	trouble  []string
}

func newBed(t testing.TB, change ...func(*Options)) *bed {
	t.Helper()
	return openBed(t, filepath.Join(t.TempDir(), "memory.db"), change...)
}

func openBed(t testing.TB, path string, change ...func(*Options)) *bed {
	t.Helper()
	ctx := context.Background()
	database, err := db.Open(ctx, path)
	if err == nil {
		err = database.Migrate(ctx, Migrations(), "memory_migrations")
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, path: path, database: database, settings: map[string]Settings{}, dead: map[string]bool{}}
	o := Options{
		Write: database.Write, Read: database.Read, Erase: database.Erase, MaxResidentBytes: 1 << 30, MaxBucketMemories: 1_000_000, MaxTenantBuckets: 100_000, MaxTenantBytes: 1 << 40, Concurrency: 2,
		Emit: func(e Event) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
			return nil
		},
		Tenants: func(id string) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return !b.dead[id]
		},
		Settings: func(tenant string) Settings {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.settings[tenant]
		},
		Trouble: func(what string, err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.trouble = append(b.trouble, what+": "+err.Error())
		},
	}
	for _, c := range change {
		c(&o)
	}
	if b.Keeper, err = Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.shut() })
	return b
}

func (b *bed) shut() {
	if b.Keeper == nil {
		return
	}
	b.Close()
	b.Keeper = nil
	_ = b.database.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.trouble {
		b.t.Error(t)
	}
}

func (b *bed) store(tenant, bucket string, texts ...string) []Result {
	b.t.Helper()
	w := Write{Bucket: bucket}
	for _, t := range texts {
		w.Memories = append(w.Memories, Memory{Content: t})
	}
	got, err := b.Store(context.Background(), &Caller{Tenant: tenant}, &w)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// find gives the contents of what a question finds.
func (b *bed) find(tenant, bucket, question string) []string {
	b.t.Helper()
	found, err := b.Search(context.Background(), &Question{Tenant: tenant, Buckets: []string{bucket}, Text: question, K: 10})
	if err != nil {
		b.t.Fatal(err)
	}
	texts := []string{}
	for _, h := range found.Hits {
		texts = append(texts, h.Memory.Content)
	}
	return texts
}

func (b *bed) recall(tenant, question string) Recalled {
	b.t.Helper()
	text := []byte(question)
	got, err := b.Recall(&Recall{Tenant: tenant, Buckets: []string{"default"}, Question: wire.NewText(&text), TopK: 8, MaxTokens: 800, Timeout: time.Second})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func TestWhatIsStoredIsFoundAtOnce(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees on the roof.")
	if got := b.find("acme", "default", "Who keeps bees?"); !slices.Equal(got, []string{"Ada keeps bees on the roof."}) {
		t.Fatalf("%q", got)
	}
	b.store("acme", "default", "The bees moved to the garden in May.") // into a bucket in memory
	if got := b.find("acme", "default", "Where did the bees move?"); len(got) != 2 || got[0] != "The bees moved to the garden in May." {
		t.Fatalf("%q", got)
	}
	if got := b.find("acme", "other", "bees"); len(got) != 0 {
		t.Errorf("another bucket: %q", got)
	}
	if got := b.find("rival", "default", "bees"); len(got) != 0 {
		t.Errorf("another tenant: %q", got)
	}
	path := b.path
	b.shut()
	again := openBed(t, path)
	if got := again.find("acme", "default", "Who keeps bees?"); len(got) != 2 {
		t.Errorf("after a restart: %q", got)
	}
}

// A word is worth more in a bucket where it is rare: each bucket's hits are
// judged by its own best.
func TestBucketsAreJudgedByThemselves(t *testing.T) {
	b := newBed(t)
	var filler []string
	for i := range 400 {
		filler = append(filler, "Note "+strings.Repeat("x", i%40+1)+" says the meeting of team "+strings.Repeat("y", i/10+1)+" was moved.")
	}
	b.store("acme", "large", filler...)
	b.store("acme", "large", "Ada keeps bees on the roof.")
	b.store("acme", "small", "Her bees are kept by Ben in winter.", "Ben keeps bees too.", "All bees love Ada.")
	question := []byte("Who keeps bees?")
	got, err := b.Recall(&Recall{
		Tenant: "acme", Buckets: []string{"large", "small"}, Question: wire.NewText(&question), TopK: 8, MaxTokens: 800, Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if block := string(got.Block); !strings.Contains(block, "roof") || !strings.Contains(block, "Ben keeps bees too") {
		t.Errorf("a bucket has no part in it: %s", block)
	}
}

func TestDeletedIsGoneEverywhere(t *testing.T) {
	b := newBed(t)
	id := b.store("acme", "default", "Ada keeps bees on the roof.", "Ada likes tea.")[0].ID
	who := &Caller{Tenant: "acme"}
	if got := b.recall("acme", "Who keeps bees?"); !slices.Contains(got.IDs, id) {
		t.Fatalf("%+v", got)
	}
	if err := b.Delete(context.Background(), &Caller{Tenant: "rival"}, "default", id); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rival deletes: %v", err)
	}
	if err := b.Delete(context.Background(), who, "default", id); err != nil {
		t.Fatal(err)
	}
	if got := b.recall("acme", "Who keeps bees?"); slices.Contains(got.IDs, id) || strings.Contains(string(got.Block), "roof") {
		t.Errorf("recalled after its end: %s", got.Block)
	}
	if err := b.Delete(context.Background(), who, "default", id); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	var n int
	if err := b.database.Read.QueryRow("SELECT count(*) FROM memories WHERE id = ?", id).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestEventsTellWhatCounts(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme", Token: "tok"}
	first := b.store("acme", "default", "one apple", "two pears", "one apple")
	if !first[2].Merged || first[2].ID != first[0].ID || first[2].Similarity != 1 {
		t.Errorf("%+v", first[2])
	}
	if err := b.Delete(ctx, who, "default", first[1].ID); err != nil {
		t.Fatal(err)
	}
	b.store("acme", "default", "three plums")
	if n, err := b.DeleteAll(ctx, who, "default", &Filter{}, true); err != nil || n != 2 {
		t.Errorf("dry: %d %v", n, err)
	}
	if err := b.DeleteBucket(ctx, who, "default"); err != nil {
		t.Fatal(err)
	}
	if got := b.find("acme", "default", "apple plums"); len(got) != 0 {
		t.Errorf("after the bucket's end: %q", got)
	}
	b.store("acme", "default", "a new beginning")
	b.shut()
	type tally struct {
		op Op
		n  int64
	}
	var got []tally
	for _, e := range b.events {
		got = append(got, tally{e.Op, e.Count})
	}
	want := []tally{{Stored, 2}, {Deleted, 1}, {Stored, 1}, {Deleted, 2}, {Stored, 1}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
