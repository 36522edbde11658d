package gateway

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/upstream"
)

const (
	// maxOwnTargets is how many targets the base URLs of one tenant's credentials
	// may have at a time; for one more, the one goes that was not called for
	// longest.
	maxOwnTargets = 128
	// ownTargetLife is how long a target stays that is not called. By then its
	// connections have been idle for too long, and were closed.
	ownTargetLife = time.Minute
)

// ownTargets are the targets of credentials' own base URLs. They come as they
// are called, and go when nobody calls them, or when their tenant calls too many
// others: one tenant's endless names cost no other tenant anything.
type ownTargets struct {
	client *upstream.Client
	byName sync.Map // ownAddress → *ownTarget

	mu      sync.Mutex
	of      map[string][]*ownTarget // by the tenant that they were made for; guarded by mu
	swept   time.Time               // guarded by mu
	retired bool                    // another table has taken over; guarded by mu
}

// ownAddress is a base URL of credentials, beside their provider's own target.
type ownAddress struct {
	beside  *upstream.Target
	baseURL string
}

type ownTarget struct {
	*upstream.Target
	name ownAddress
	last atomic.Int64 // call, in Unix nanoseconds
}

// find gives a target that is there, or nil.
func (o *ownTargets) find(name ownAddress, now time.Time) *upstream.Target {
	known, ok := o.byName.Load(name)
	if !ok {
		return nil
	}
	t := known.(*ownTarget) //nolint:forcetypeassert // only add and takeOver store
	t.last.Store(now.UnixNano())
	return t.Target
}

// add gives the target of a name that a tenant calls, and makes it if it is not
// there.
func (o *ownTargets) add(tenant string, name ownAddress, now time.Time, make func() *upstream.Target) *upstream.Target {
	o.mu.Lock()
	if known := o.find(name, now); known != nil {
		o.mu.Unlock()
		return known
	}
	t := &ownTarget{Target: make(), name: name}
	left := []*upstream.Target{t.Target} // for the last requests of a table that was
	if !o.retired {
		t.last.Store(now.UnixNano())
		left = append(o.sweep(now), o.makeRoom(tenant)...)
		o.of[tenant] = append(o.of[tenant], t)
		o.byName.Store(name, t)
	}
	o.mu.Unlock()
	for _, target := range left {
		o.client.Retire(target)
	}
	return t.Target
}

// makeRoom makes room for one more target of a tenant.
func (o *ownTargets) makeRoom(tenant string) (left []*upstream.Target) {
	all := o.of[tenant]
	if len(all) < maxOwnTargets {
		return nil
	}
	oldest := slices.MinFunc(all, func(a, b *ownTarget) int { return cmp.Compare(a.last.Load(), b.last.Load()) })
	return o.drop(tenant, func(t *ownTarget) bool { return t == oldest })
}

// sweep drops what is not called any more, from time to time.
func (o *ownTargets) sweep(now time.Time) (left []*upstream.Target) {
	if now.Sub(o.swept) < ownTargetLife {
		return nil
	}
	o.swept = now
	before := now.Add(-ownTargetLife).UnixNano()
	for tenant := range o.of {
		left = append(left, o.drop(tenant, func(t *ownTarget) bool { return t.last.Load() < before })...)
	}
	return left
}

// drop drops targets of a tenant, and gives them.
func (o *ownTargets) drop(tenant string, which func(*ownTarget) bool) (left []*upstream.Target) {
	o.of[tenant] = slices.DeleteFunc(o.of[tenant], func(t *ownTarget) bool {
		if !which(t) {
			return false
		}
		o.byName.Delete(t.name)
		left = append(left, t.Target)
		return true
	})
	if len(o.of[tenant]) == 0 {
		delete(o.of, tenant)
	}
	return left
}

// handOver gives next, which nobody uses yet, the targets that go on, and gives
// those that do not.
func (o *ownTargets) handOver(next *ownTargets, goesOn func(beside *upstream.Target) bool) (left []*upstream.Target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retired = true
	for tenant, all := range o.of {
		for _, t := range all {
			if !goesOn(t.name.beside) {
				left = append(left, t.Target)
				continue
			}
			next.of[tenant] = append(next.of[tenant], t)
			next.byName.Store(t.name, t)
		}
	}
	next.swept = o.swept
	return left
}
