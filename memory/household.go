package memory

import (
	"slices"
	"sync"

	"github.com/ownkey/ownkey/memory/block"
)

// household is what is kept in memory of a tenant itself, whatever its buckets.
type household struct {
	marker block.Marker

	mu    sync.Mutex // guards what follows
	empty [recentAnswers]uint64
	next  int
}

// household gives a tenant's.
func (k *Keeper) household(tenant string) *household {
	if h, ok := k.households.Load(tenant); ok {
		return h
	}
	h, _ := k.households.LoadOrStore(tenant, &household{marker: block.NewMarker(k.secret, tenant)})
	return h
}

// asked adds to found whether a question was put a moment ago to a bucket that
// does not exist: such a bucket has no place to keep answers in.
func (h *household) asked(q *Question, bucket string, found *Found) {
	key := keyOf(q, bucket, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.empty[:], key) {
		found.Cached = false
		found.fresh = append(found.fresh, fresh{answered: answered{key: key}})
	}
}

// remember keeps a question to a bucket that does not exist.
func (h *household) remember(key uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.empty[h.next%recentAnswers] = key
	h.next++
}

// Marker is how this gateway's blocks for a tenant begin and end.
func (k *Keeper) Marker(tenant string) block.Marker { return k.household(tenant).marker }
