package memory

import (
	"context"
	"runtime"
	"sync"
)

// places bound how many buckets of one tenant are loaded at once: each takes a core
// and a reader of the store, and half of them are for others. It is safe for
// concurrent use.
type places struct {
	mu sync.Mutex
	of map[string]*tenantPlaces // by tenant, while any is taken or waited for; guarded by mu
}

type tenantPlaces struct {
	taken chan struct{}
	users int // who has one, or waits; guarded by places.mu
}

// loadsAtOnce is how many places a tenant has.
func loadsAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// enter waits for a place. Each enter without an error has its leave.
func (p *places) enter(ctx context.Context, tenant string) error {
	p.mu.Lock()
	own := p.of[tenant]
	if own == nil {
		if p.of == nil {
			p.of = map[string]*tenantPlaces{}
		}
		own = &tenantPlaces{taken: make(chan struct{}, loadsAtOnce())}
		p.of[tenant] = own
	}
	own.users++
	p.mu.Unlock()
	select {
	case own.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		p.forget(tenant)
		return ctx.Err()
	}
}

func (p *places) leave(tenant string) {
	p.mu.Lock()
	own := p.of[tenant]
	p.mu.Unlock()
	<-own.taken
	p.forget(tenant)
}

func (p *places) forget(tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[tenant].users--; p.of[tenant].users == 0 {
		delete(p.of, tenant)
	}
}
