package memory

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLoadsOfATenantAreBounded: however many cold buckets a tenant asks for, a few
// are loaded at once, another tenant's is among them, and nothing is kept of whoever
// has none.
func TestLoadsOfATenantAreBounded(t *testing.T) {
	var p places
	var most, now atomic.Int64
	var working sync.WaitGroup
	ctx := context.Background()
	for range 50 {
		working.Go(func() {
			for range 20 {
				if err := p.enter(ctx, "acme"); err != nil {
					t.Error(err)
				}
				n := now.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				now.Add(-1)
				p.leave("acme")
			}
		})
	}
	working.Wait()
	if n := most.Load(); n > int64(loadsAtOnce()) || len(p.of) != 0 {
		t.Errorf("%d at once, %d tenants are known still", n, len(p.of))
	}
	for range loadsAtOnce() {
		if err := p.enter(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.enter(ctx, "rival"); err != nil {
		t.Error(err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := p.enter(ended, "acme"); err == nil {
		t.Error("one more has a place")
	}
	b := newBed(t, func(o *Options) { o.MaxResidentBytes = 256 << 10 }).hasty()
	for i := range 12 {
		b.fill("acme", fmt.Sprint("bucket-", i), 50)
	}
	for g := range 8 {
		working.Go(func() {
			for i := range 24 {
				if got, err := b.Search(ctx, &Question{Tenant: "acme", Buckets: []string{fmt.Sprint("bucket-", (g+i)%12)}, Text: "bees", K: 3}); err != nil || len(got.Hits) != 3 {
					t.Errorf("%d hits, %v", len(got.Hits), err)
				}
			}
		})
	}
	working.Wait()
	if len(b.loads.of) != 0 {
		t.Errorf("%d tenants are known still", len(b.loads.of))
	}
}
