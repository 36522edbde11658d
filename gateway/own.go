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
// are called. A tenant holds those that it calls, and lets go of them when it does
// not any more, or calls too many others; a target goes when nobody holds it. So
// one tenant's endless names cost no other tenant anything, even where both call
// the same.
type ownTargets struct {
	client *upstream.Client
	byName sync.Map // ownName → *ownTarget

	mu      sync.Mutex
	of      map[string]*held             // by tenant; guarded by mu
	shared  map[ownAddress]*sharedTarget // guarded by mu
	swept   time.Time                    // guarded by mu
	retired bool                         // another table has taken over; guarded by mu
}

func newOwnTargets(client *upstream.Client) *ownTargets {
	return &ownTargets{client: client, of: map[string]*held{}, shared: map[ownAddress]*sharedTarget{}}
}

// ownAddress is a base URL of credentials, beside their provider's own target.
type ownAddress struct {
	beside  *upstream.Target
	baseURL string
}

// ownName is what a tenant calls.
type ownName struct {
	tenant string
	ownAddress
}

// ownTarget is a target as one tenant holds it.
type ownTarget struct {
	*upstream.Target
	name ownName
	last atomic.Int64 // call of the tenant, in Unix nanoseconds
}

// held is what one tenant holds. Its idle connections count together, whatever
// they lead to: descriptors are for everybody.
type held struct {
	targets []*ownTarget
	idle    *upstream.Idle
}

// sharedTarget is a target and how many tenants hold it.
type sharedTarget struct {
	*upstream.Target
	holders int
}

// find gives a target that is there, or nil.
func (o *ownTargets) find(name ownName, now time.Time) *upstream.Target {
	known, ok := o.byName.Load(name)
	if !ok {
		return nil
	}
	t := known.(*ownTarget) //nolint:forcetypeassert // only add and handOver store
	t.last.Store(now.UnixNano())
	return t.Target
}

// add gives the target of a name that a tenant calls, and makes it if nobody
// holds it.
func (o *ownTargets) add(name ownName, now time.Time, make func() *upstream.Target) *upstream.Target {
	o.mu.Lock()
	if known := o.find(name, now); known != nil {
		o.mu.Unlock()
		return known
	}
	var target *upstream.Target
	var left []*upstream.Target
	if o.retired {
		target = make() // for the last requests of a table that was
		left = append(left, target)
	} else {
		target = o.hold(name, now, make)
		left = append(o.sweep(now), o.makeRoom(name.tenant)...)
	}
	o.mu.Unlock()
	for _, one := range left {
		o.client.Retire(one)
	}
	return target
}

// hold makes a tenant hold a target.
func (o *ownTargets) hold(name ownName, now time.Time, make func() *upstream.Target) *upstream.Target {
	shared := o.shared[name.ownAddress]
	if shared == nil {
		shared = &sharedTarget{Target: make()}
		o.shared[name.ownAddress] = shared
	}
	shared.holders++
	mine := o.of[name.tenant]
	if mine == nil {
		mine = &held{idle: &upstream.Idle{}}
		o.of[name.tenant] = mine
	}
	t := &ownTarget{Target: shared.Within(mine.idle), name: name}
	t.last.Store(now.UnixNano())
	mine.targets = append(mine.targets, t)
	o.byName.Store(name, t)
	return t.Target
}

// makeRoom lets go of a tenant's target if it holds one too many.
func (o *ownTargets) makeRoom(tenant string) (left []*upstream.Target) {
	all := o.of[tenant].targets
	if len(all) <= maxOwnTargets {
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

// drop lets go of targets of a tenant, and gives those that nobody holds then.
func (o *ownTargets) drop(tenant string, which func(*ownTarget) bool) (left []*upstream.Target) {
	mine := o.of[tenant]
	mine.targets = slices.DeleteFunc(mine.targets, func(t *ownTarget) bool {
		if !which(t) {
			return false
		}
		o.byName.Delete(t.name)
		shared := o.shared[t.name.ownAddress]
		if shared.holders--; shared.holders == 0 {
			delete(o.shared, t.name.ownAddress)
			left = append(left, shared.Target)
		}
		return true
	})
	if len(mine.targets) == 0 {
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
	for address, shared := range o.shared {
		if goesOn(address.beside) {
			next.shared[address] = shared
		} else {
			left = append(left, shared.Target)
		}
	}
	for tenant, all := range o.of {
		mine := &held{idle: all.idle}
		for _, t := range all.targets {
			if goesOn(t.name.beside) {
				mine.targets = append(mine.targets, t)
				next.byName.Store(t.name, t)
			}
		}
		if len(mine.targets) > 0 {
			next.of[tenant] = mine
		}
	}
	next.swept = o.swept
	return left
}
