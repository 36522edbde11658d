package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// operation does something at random and says what its tenant could see of it,
// without ids, which are random.
func operation(b *bed, tenant string, r *rand.Rand, ids map[string][]string) string {
	ctx, who := context.Background(), &Caller{Tenant: tenant}
	bucket := fmt.Sprintf("bucket-%d", r.IntN(3))
	words := []string{"bees", "roof", "library", "tram", "harbour", "honey", "Ada", "August", "nine", "garden"}
	text := func() string {
		var t []string
		for range 3 + r.IntN(6) {
			t = append(t, words[r.IntN(len(words))])
		}
		return strings.Join(t, " ")
	}
	pick := func() string {
		if len(ids[bucket]) == 0 {
			return "m-none"
		}
		return ids[bucket][r.IntN(len(ids[bucket]))]
	}
	switch n := r.IntN(100); {
	case n < 35:
		w := Write{Bucket: bucket, Dedup: []Dedup{DedupOff, DedupLoose, DedupStrict}[r.IntN(3)], Memories: []Memory{{Content: text(), Session: fmt.Sprint(r.IntN(3)), Pinned: r.IntN(50) == 0, ObservedAt: time.Unix(1e9+int64(r.IntN(1e7)), 0).UTC()}}}
		got, err := b.Store(ctx, who, &w)
		if err != nil {
			return err.Error()
		}
		if !got[0].Merged {
			ids[bucket] = append(ids[bucket], got[0].ID)
		}
		return fmt.Sprint("store ", got[0].Merged, got[0].Similarity, got[0].Reason)
	case n < 75:
		found, err := b.Search(ctx, &Question{Tenant: tenant, Buckets: []string{bucket, "bucket-0"}, Text: text(), K: 5})
		if err != nil {
			return err.Error()
		}
		seen := []string{fmt.Sprint("search ", found.Cached, len(found.Pinned))}
		for _, h := range found.Hits {
			if h.Memory.tenant != tenant {
				b.t.Errorf("%s sees a memory of %s", tenant, h.Memory.tenant)
			}
			seen = append(seen, fmt.Sprint(h.Memory.Content, h.Score, h.Relevance))
		}
		return strings.Join(seen, "\n")
	case n < 85:
		id := pick()
		err := b.Delete(ctx, who, bucket, id)
		ids[bucket] = slices.DeleteFunc(ids[bucket], func(s string) bool { return s == id })
		return fmt.Sprint("delete ", deleted(err))
	case n < 92:
		content := text()
		m, err := b.Update(ctx, who, bucket, pick(), &Change{Content: &content})
		return fmt.Sprint("update ", m.Version, m.Content, deleted(err))
	case n < 98:
		page, total, err := b.List(ctx, tenant, bucket, 5, r.IntN(10))
		seen := fmt.Sprint("list ", total, err)
		for _, m := range page {
			seen += m.Content
		}
		return seen
	case n < 99:
		cleared, err := b.DeleteAll(ctx, who, bucket, &Filter{Session: "1"}, r.IntN(2) == 0)
		return fmt.Sprint("clear ", cleared, deleted(err))
	default:
		ids[bucket] = nil
		return fmt.Sprint("drop ", deleted(b.DeleteBucket(ctx, who, bucket)))
	}
}

// deleted is the outcome of a deletion, whether its text has left the files yet or
// will when a slow disk, or a long reader, lets it.
func deleted(err error) error {
	if errors.Is(err, ErrErasePending) {
		return nil
	}
	return err
}

// history runs n operations and gives what was seen.
func history(b *bed, tenant string, seed uint64, n int) []string {
	r, ids := rand.New(rand.NewPCG(seed, 1)), map[string][]string{}
	seen := make([]string, 0, n)
	for range n {
		seen = append(seen, operation(b, tenant, r, ids))
	}
	return seen
}

// TestTenantsDoNotSeeEachOther: 10,000 operations of two tenants at once, on
// buckets of the same names, and what each sees (hits, scores to the last bit,
// counts, whether an answer was cached) is exactly what it sees when it is alone
// in the house.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	const each = 5000
	together, alone := newBed(t), newBed(t)
	var seen [2][]string
	var both sync.WaitGroup
	for i, tenant := range []string{"left", "right"} {
		both.Go(func() { seen[i] = history(together, tenant, uint64(i), each) })
	}
	both.Wait()
	for i, tenant := range []string{"left", "right"} {
		if i == 1 {
			alone = newBed(t)
		}
		want := history(alone, tenant, uint64(i), each)
		for n := range want {
			if seen[i][n] != want[n] {
				t.Fatalf("%s, operation %d: sees\n%s\nalone it sees\n%s", tenant, n, seen[i][n], want[n])
			}
		}
	}
}

// TestForeignRowsAreSeen: a row of another tenant in one's own bucket, which no
// statement of ours writes, is not handed out.
func TestForeignRowsAreSeen(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.", "Bob has a boat.")
	if got := b.find("acme", "default", "bees"); len(got) == 0 {
		t.Fatal("nothing is found")
	}
	k := b.Keeper
	_, r, err := k.ready(context.Background(), "acme", "default", false)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.items[0].tenant = "rival"
	r.answers.forget()
	r.mu.Unlock()
	if found, err := b.Search(context.Background(), &Question{Tenant: "acme", Buckets: []string{"default"}, Text: "bees", K: 3}); !errors.Is(err, errForeign) {
		t.Errorf("%+v %v", found.Hits, err)
	}
}
