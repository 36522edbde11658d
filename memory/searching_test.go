package memory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestCountingHoldsNobodyUp: while a tenant counts again and again what a filter
// chooses, which reads all of a bucket, others find a reader of the store.
func TestCountingHoldsNobodyUp(t *testing.T) {
	b := newBed(t).hasty()
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for range 12 {
		w := Write{Bucket: "default", Dedup: DedupOff}
		for i := range MaxBatch {
			w.Memories = append(w.Memories, Memory{Content: fmt.Sprint("bees ", i), Metadata: []byte(`{"team":"red","hive":"` + fmt.Sprint(i) + `","more":["a","b","c"]}`)})
		}
		if _, err := b.Store(ctx, who, &w); err != nil {
			t.Fatal(err)
		}
	}
	f := Filter{Metadata: map[string]string{"team": "red", "hive": "no", "more": "x"}}
	count := func() time.Duration {
		began := time.Now()
		if n, err := b.DeleteAll(ctx, who, "default", &f, true); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
		return time.Since(began)
	}
	alone := count()
	var counting sync.WaitGroup
	for range 32 {
		counting.Go(func() { count() })
	}
	longest := time.Duration(0)
	for i := range 20 {
		time.Sleep(alone / 4)
		began := time.Now()
		b.store("rival", fmt.Sprint("bucket-", i), "boats")
		if got := b.find("rival", fmt.Sprint("bucket-", i), "boats"); len(got) != 1 {
			t.Errorf("%q", got)
		}
		longest = max(longest, time.Since(began))
	}
	counting.Wait()
	if longest > 2*alone {
		t.Errorf("one of another tenant waited %v, where one count takes %v", longest, alone)
	}
}

// TestAnotherModelHoldsNobodyUp: while jobs are written down for all memories of a
// tenant, as at each start and when it chooses another embeddings model, writers of
// others have their turn.
func TestAnotherModelHoldsNobodyUp(t *testing.T) {
	const n = 30_000
	b := newBed(t).hasty()
	ctx := context.Background()
	b.fill("acme", "default", n)
	b.fill("acme", "small", 3)
	b.choose("acme", Settings{Embeddings: "small"})
	done := make(chan error)
	began := time.Now()
	go func() { done <- b.sweep(ctx) }()
	longest := time.Duration(0)
	for i := 0; ; i++ {
		before := time.Now()
		b.store("rival", "default", fmt.Sprint("boat ", i))
		longest = max(longest, time.Since(before))
		select {
		case err := <-done:
			took := time.Since(began)
			var jobs int
			if serr := b.database.Read.QueryRow("SELECT count(*) FROM jobs WHERE tenant = 'acme' AND kind = 0").Scan(&jobs); err != nil || serr != nil || jobs != n+3 {
				t.Errorf("%d jobs, %v, %v", jobs, err, serr)
			}
			if longest > took/3 {
				t.Errorf("one of another tenant waited %v of %v", longest, took)
			}
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}
