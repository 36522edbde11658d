package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDuplicates(t *testing.T) {
	const long = "On the second of May Ada and Bob took the early tram to the harbour, bought forty jars of honey for the library's summer market, and carried them up to the roof where the bees are kept in eleven hives."
	for _, f := range []struct {
		name, first, second string
		dedup               Dedup
		merged              bool
	}{
		{"the same", "Ada likes tea.", "Ada likes tea.", DedupStrict, true},
		{"case and space", "Ada likes tea.", "  ada  LIKES tea.", DedupStrict, true},
		{"other forms of characters", "Ada is at the café.", "Ada is at the cafe\u0301.", DedupStrict, true},
		{"off", "Ada likes tea.", "Ada likes tea.", DedupOff, false},
		{"a filler word, loose", long, strings.Replace(long, "and carried", "and really carried", 1), DedupLoose, true},
		{"a filler word, strict", long, strings.Replace(long, "and carried", "and really carried", 1), DedupStrict, false},
		{"a number", long, strings.Replace(long, "forty", "fifty", 1), DedupLoose, false},
		{"a digit", "Ada has 11 hives and a very long list of other things to tell us about today and tomorrow", "Ada has 12 hives and a very long list of other things to tell us about today and tomorrow", DedupLoose, false},
		{"a name", long, strings.Replace(long, "Bob", "Eve", 1), DedupLoose, false},
		{"a negation", long, strings.Replace(long, "and carried", "and not carried", 1), DedupLoose, false},
		{"a contraction", "I do like this new tea very much indeed and so does everyone else here", "I don't like this new tea very much indeed and so does everyone else here", DedupLoose, false},
		{"nothing in common", "Ada likes tea.", "Bob has a boat.", DedupLoose, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			b := newBed(t)
			first := b.store("acme", "default", f.first)[0]
			got, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Dedup: f.dedup, Memories: []Memory{{Content: f.second}}})
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Merged != f.merged || f.merged && (got[0].ID != first.ID || got[0].Similarity < f.dedup.least()) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// TestDuplicatesByDefault: memories merge, turns of a conversation do not.
func TestDuplicatesByDefault(t *testing.T) {
	b := newBed(t)
	for session, merged := range map[string]bool{"": true, "talk": false} {
		for i, text := range []string{"Ada likes tea in " + session, "ada likes  tea in " + session} {
			got, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{{Content: text, Session: session}}})
			if err != nil || got[0].Merged != (merged && i == 1) {
				t.Errorf("session %q, time %d: %+v %v", session, i+1, got, err)
			}
		}
	}
}

func TestTime(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	day := func(d int) time.Time { return time.Date(2026, 5, d, 0, 0, 0, 0, time.UTC) }
	store := func(m Memory) string {
		t.Helper()
		got, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{m}})
		if err != nil {
			t.Fatal(err)
		}
		return got[0].ID
	}
	oslo := store(Memory{Content: "Ada lives in Oslo", ObservedAt: day(1)})
	store(Memory{Content: "Ada lives in Rome", ObservedAt: day(10), Supersedes: oslo})
	store(Memory{Content: "Ada lives on a boat for a while", ObservedAt: day(3), ValidFrom: day(3), ValidTo: day(5)})
	store(Memory{Content: "Ada lives on Mars", ObservedAt: day(3), ValidFrom: time.Now().Add(time.Hour)})
	ask := func(asOf time.Time) (texts []string) {
		t.Helper()
		found, err := b.Search(ctx, &Question{Tenant: "acme", Buckets: []string{"default"}, Text: "Where does Ada live?", K: 9, AsOf: asOf})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range found.Hits {
			texts = append(texts, strings.TrimPrefix(h.Memory.Content, "Ada lives "))
		}
		slices.Sort(texts)
		return texts
	}
	check := func(again string) {
		t.Helper()
		for _, f := range []struct {
			at   time.Time
			want string
		}{{time.Time{}, "in Rome"}, {day(2), "in Oslo"}, {day(4), "in Oslo,on a boat for a while"}, {day(12), "in Rome"}, {day(1).Add(-time.Hour), ""}} {
			if got := strings.Join(ask(f.at), ","); got != f.want {
				t.Errorf("%s, as of %v: %q, want %q", again, f.at, got, f.want)
			}
		}
	}
	check("at once")
	if _, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "Ada lives in Bern", Supersedes: oslo}}}); err == nil {
		t.Error("a memory was superseded twice")
	}
	pinned := store(Memory{Content: "Answer in French.", ObservedAt: day(1), Pinned: true})
	store(Memory{Content: "Answer in German.", ObservedAt: day(10), Pinned: true, Supersedes: pinned})
	for at, want := range map[time.Time]string{{}: "Answer in German.", day(2): "Answer in French.", day(12): "Answer in German."} {
		found, err := b.Search(ctx, &Question{Tenant: "acme", Buckets: []string{"default"}, Text: "Where does Ada live?", K: 9, AsOf: at})
		if err != nil || len(found.Pinned) != 1 || found.Pinned[0].Memory.Content != want {
			t.Errorf("pinned, as of %v: %+v, want %s (%v)", at, found.Pinned, want, err)
		}
	}
	path := b.path
	b.shut()
	b = openBed(t, path)
	check("after a restart")
}

func TestExpiry(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	end := time.Now().Add(2 * time.Second)
	if _, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "the code is blue", ExpiresAt: end}, {Content: "the code of the door is green"}}}); err != nil {
		t.Fatal(err)
	}
	if got := b.find("acme", "default", "code"); len(got) != 2 {
		t.Fatalf("%q", got)
	}
	time.Sleep(time.Until(end) + 10*time.Millisecond)
	if got := b.find("acme", "default", "code"); len(got) != 1 { // also from what was answered a moment ago
		t.Errorf("after its end: %q", got)
	}
	if _, total, err := b.List(ctx, "acme", "default", 5, 0); err != nil || total != 1 {
		t.Errorf("%d %v", total, err)
	}
	if err := b.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	b.shut()
	last := b.events[len(b.events)-1]
	if last.Op != Deleted || last.Count != 1 || last.At.Sub(end).Abs() > time.Second {
		t.Errorf("%+v, want a deletion at %v", last, end)
	}
	if _, err := openBed(t, b.path).Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "x", ExpiresAt: end}}}); err == nil {
		t.Error("a memory that has expired was stored")
	}
}

func TestTenantThatIsNoMore(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	b.store("rival", "default", "Bob keeps bees.")
	b.mu.Lock()
	b.dead["acme"] = true
	b.mu.Unlock()
	if err := b.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := b.find("acme", "default", "bees"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := b.find("rival", "default", "bees"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	var n int
	if err := b.database.Read.QueryRow("SELECT (SELECT count(*) FROM memories WHERE tenant = 'acme') + (SELECT count(*) FROM buckets WHERE tenant = 'acme')").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestChanges(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	id := b.store("acme", "default", "Ada keeps bees.")[0].ID
	b.find("acme", "default", "bees")
	text, pinned := "Ada keeps goats.", true
	m, err := b.Update(ctx, who, "default", id, &Change{Content: &text, Pinned: &pinned})
	if err != nil || m.Version != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	if got := b.find("acme", "default", "bees"); len(got) != 0 {
		t.Errorf("what it said before is found: %q", got)
	}
	if got := b.find("acme", "default", "goats"); len(got) != 1 {
		t.Errorf("what it says is not found: %q", got)
	}
	if got := b.recall("acme", "nothing of the kind"); !slices.Contains(got.IDs, id) {
		t.Errorf("pinned and not recalled: %+v", got)
	}
	now, old, err := b.History(ctx, "acme", "default", id)
	if err != nil || now.Content != text || len(old) != 1 || old[0].Content != "Ada keeps bees." {
		t.Errorf("%+v %+v %v", now, old, err)
	}
	empty := " "
	if _, err := b.Update(ctx, who, "default", id, &Change{Content: &empty}); err == nil {
		t.Error("a memory became empty")
	}
	if err := b.Delete(ctx, who, "default", id); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.database.Read.QueryRow("SELECT count(*) FROM versions").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d versions outlive their memory, %v", n, err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	b := newBed(t)
	write := func(content, digest string) ([]Result, error) {
		return b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{
			Bucket: "default", Dedup: DedupOff, Key: "key-1", Digest: []byte(digest), Memories: []Memory{{Content: content}, {Content: content + " too"}},
		})
	}
	first, err := write("Ada keeps bees.", "one")
	if err != nil {
		t.Fatal(err)
	}
	again, err := write("Ada keeps bees.", "one")
	if err != nil || !slices.Equal(first, again) {
		t.Errorf("%+v %v, want %+v", again, err, first)
	}
	if _, err := write("Bob keeps bees.", "two"); !errors.Is(err, ErrKeyReused) {
		t.Errorf("%v", err)
	}
	if got := b.find("acme", "default", "bees"); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestBucketsComeAndGo: with room for a few buckets only, all are found, and
// what is held stays within the bound.
func TestBucketsComeAndGo(t *testing.T) {
	const bound = 40 << 10
	b := newBed(t, func(o *Options) { o.MaxResidentBytes = bound })
	for i := range 60 {
		b.store("acme", fmt.Sprintf("bucket-%d", i), fmt.Sprintf("Ada keeps %d bees.", i), "and some more words")
	}
	for round := range 3 {
		for i := range 60 {
			if got := b.find("acme", fmt.Sprintf("bucket-%d", i), "bees"); len(got) != 1 || got[0] != fmt.Sprintf("Ada keeps %d bees.", i) {
				t.Fatalf("round %d, bucket %d: %q", round, i, got)
			}
			if held := b.ResidentBytes(); held > bound+8<<10 {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	n := 0
	b.buckets.Range(func(bucketKey, *bucket) bool { n++; return true })
	if n > 40 || b.Counts().Evictions.Load() == 0 {
		t.Errorf("%d buckets are known, %d were let go of", n, b.Counts().Evictions.Load())
	}
}

func TestLimits(t *testing.T) {
	b := newBed(t, func(o *Options) { o.MaxBucketMemories = 3 })
	b.store("acme", "default", "one apple", "two pears")
	_, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Memories: []Memory{{Content: "three plums"}, {Content: "four figs"}}})
	if !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if got := b.find("acme", "default", "plums"); len(got) != 0 {
		t.Errorf("half of a batch was stored: %q", got)
	}
	for name, m := range map[string]Memory{
		"content": {Content: " "}, "memories[1].content": {Content: strings.Repeat("x", MaxContentBytes+1)}, "metadata": {Content: "x", Metadata: []byte(`[1]`)},
		"valid_to": {Content: "x", ValidFrom: time.Now(), ValidTo: time.Now().Add(-time.Hour)}, "speaker": {Content: "x", Speaker: "\xff"},
	} {
		w := Write{Bucket: "default", Memories: []Memory{m}}
		if strings.HasPrefix(name, "memories[1]") {
			w.Memories = []Memory{{Content: "fine"}, m}
		}
		var invalid *InvalidError
		if _, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &w); !errors.As(err, &invalid) || invalid.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
