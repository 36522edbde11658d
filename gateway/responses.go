package gateway

import (
	"hash/maphash"
	"slices"
	"sync"
)

const (
	// responsesPerTenant is how many of a tenant's newest responses are
	// remembered: 8 KiB for each tenant whose tokens have lists of models.
	responsesPerTenant = 1024
	// responseTenants is how many tenants are remembered, 64 MiB in all.
	responseTenants = 8192
)

// responses remembers which token has begun which response: hashes of the newest
// ones, in this process only. What is forgotten, or was begun elsewhere, is
// nobody's, so a token that may use only its own is refused. It is safe for
// concurrent use; the zero value is ready.
type responses struct {
	once  sync.Once
	seed  maphash.Seed
	mu    sync.Mutex
	rings map[string]*responseRing // by tenant
	turn  uint64                   // counts notes, to find who was noted longest ago
}

type responseRing struct {
	hashes []uint64 // the oldest is at next, once it is full
	next   int
	last   uint64 // turn of the last note
}

func (o *responses) hash(token, provider string, id []byte) uint64 {
	o.once.Do(func() { o.seed = maphash.MakeSeed() })
	var h maphash.Hash
	h.SetSeed(o.seed)
	_, _ = h.WriteString(token)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(provider)
	_ = h.WriteByte(0)
	_, _ = h.Write(id)
	return h.Sum64()
}

// note remembers that a token has begun a response.
func (o *responses) note(tenant, token, provider string, id []byte) {
	if len(id) == 0 {
		return
	}
	hash := o.hash(token, provider, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rings == nil {
		o.rings = map[string]*responseRing{}
	}
	ring := o.rings[tenant]
	if ring == nil {
		if len(o.rings) >= responseTenants {
			o.forgetOldest()
		}
		ring = &responseRing{}
		o.rings[tenant] = ring
	}
	o.turn++
	ring.last = o.turn
	if len(ring.hashes) < responsesPerTenant {
		ring.hashes = append(ring.hashes, hash)
		return
	}
	ring.hashes[ring.next] = hash
	ring.next = (ring.next + 1) % responsesPerTenant
}

// forgetOldest makes room for another tenant. mu is held.
func (o *responses) forgetOldest() {
	oldest, turn := "", o.turn+1
	for tenant, ring := range o.rings {
		if ring.last < turn {
			oldest, turn = tenant, ring.last
		}
	}
	delete(o.rings, oldest)
}

// begun reports whether a token has begun a response of a provider.
func (o *responses) begun(tenant, token, provider string, id []byte) bool {
	hash := o.hash(token, provider, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	ring := o.rings[tenant]
	return ring != nil && slices.Contains(ring.hashes, hash)
}
