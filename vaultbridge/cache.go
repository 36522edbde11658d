package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/ownkey/ownkey/internal/fault"
	"golang.org/x/sync/singleflight"
)

// maxCached bounds the credentials that are in memory at once.
const maxCached = 10_000

// Ref says which credential is wanted.
type Ref struct {
	Bound
	// Keyring is the name of the one that sealed it.
	Keyring string
	// Generation is the row's. A cached secret of another generation is not
	// used: the row is the truth, the cache is not.
	Generation int64
}

// Cache keeps unsealed credentials for a short time. It may forget one at any
// moment; it never extends a life. It is safe for concurrent use.
type Cache struct {
	ring    *Ring
	ttl     time.Duration
	grace   time.Duration
	onGrace func()
	entries *ristretto.Cache[string, *entry]
	until   atomic.Int64 // Unix nanoseconds: when the last secret in memory ends
	flights singleflight.Group
}

// entry is a credential in the cache. Its timer wipes it on time, whatever
// ristretto does with the entry: ristretto looks for expired ones in steps of
// five seconds, and may drop a Set.
type entry struct {
	*Credential
	generation int64
	fresh      time.Time // until when it is used without asking again
	end        time.Time // until when it is used while the key store cannot be reached
	expiry     *time.Timer
}

// CacheOptions say how long credentials stay in memory.
type CacheOptions struct {
	// TTL is the life of a credential. With 0 nothing is kept and each request
	// unseals for itself.
	TTL time.Duration
	// Grace is how much longer a credential is kept, to be used only while the
	// key store can not be reached. It needs a TTL.
	Grace time.Duration
	// OnGrace is called for each use of that kind.
	OnGrace func()
}

// NewCache makes a cache over a ring of keyrings.
func NewCache(r *Ring, o CacheOptions) (*Cache, error) {
	c := &Cache{ring: r, ttl: o.TTL, grace: o.Grace, onGrace: o.OnGrace}
	if c.ttl == 0 {
		return c, nil
	}
	var err error
	c.entries, err = ristretto.NewCache(&ristretto.Config[string, *entry]{
		NumCounters:        10 * maxCached, // as ristretto's documentation advises
		MaxCost:            maxCached,
		BufferItems:        64, // likewise
		IgnoreInternalCost: true,
		OnExit: func(e *entry) {
			if e == nil {
				return // ristretto hands over an empty value for a key it has lost
			}
			e.expiry.Stop()
			e.Wipe()
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make credential cache: %w", err)
	}
	return c, nil
}

// Close wipes every credential that is kept. Leases stay usable until they are
// released.
func (c *Cache) Close() {
	if c.entries != nil {
		c.entries.Clear()
		c.entries.Close()
	}
}

// Lease is the right to use a credential for a while. The zero value is no
// right, and may be released.
type Lease struct {
	credential *Credential
	alone      bool // nobody else will use it: wipe on release
	// Hit says that the credential was in memory.
	Hit bool
}

// Use lends the secret to f for the call. It reports false after Release.
func (l *Lease) Use(f func(secret []byte)) bool {
	if l.credential == nil {
		return false
	}
	f(l.credential.secret)
	return true
}

// Version is the version of the key that had sealed the secret.
func (l *Lease) Version() int { return l.credential.Version() }

// UnsealID names the unseal that the secret came from.
func (l *Lease) UnsealID() string { return l.credential.UnsealID() }

// Release ends the lease. The secret is wiped when it is not cached.
func (l *Lease) Release() {
	if l.credential == nil {
		return
	}
	if l.alone {
		l.credential.Wipe()
	}
	l.credential.release()
	l.credential = nil
}

// Credential leases the credential of ref, from memory if it is there. The
// lease must be released.
func (c *Cache) Credential(ctx context.Context, ref *Ref) (Lease, error) {
	fault.At("vaultbridge.credential")
	if c.entries == nil {
		return c.Fresh(ctx, ref)
	}
	held, ok := c.entries.Get(ref.Context.CredentialID)
	ok = ok && held.generation == ref.Generation
	if ok && (c.grace == 0 || time.Now().Before(held.fresh)) && held.acquire() {
		return Lease{credential: held.Credential, Hit: true}, nil
	}
	e, err := c.unsealOnce(ctx, ref)
	if ok && errors.Is(err, ErrUnavailable) && time.Now().Before(held.end) && held.acquire() {
		c.onGrace()
		return Lease{credential: held.Credential, Hit: true}, nil
	}
	if err != nil {
		return Lease{}, err
	}
	if e.acquire() {
		return Lease{credential: e.Credential}, nil
	}
	return c.Fresh(ctx, ref) // ristretto had no room and wiped it before we got here
}

// Holds reports whether there is, or was a moment ago, a secret in memory that
// goes on to be used while the key store cannot be reached.
func (c *Cache) Holds(now time.Time) bool { return now.UnixNano() < c.until.Load() }

// Fresh unseals for one lease alone, whatever is in memory.
func (c *Cache) Fresh(ctx context.Context, ref *Ref) (Lease, error) {
	credential, err := c.unseal(ctx, ref)
	if err != nil {
		return Lease{}, err
	}
	credential.acquire()
	return Lease{credential: credential, alone: true}, nil
}

func (c *Cache) unseal(ctx context.Context, ref *Ref) (*Credential, error) {
	k, err := c.ring.Of(ref.Keyring)
	if err != nil {
		return nil, err
	}
	return k.Unseal(ctx, ref.Bound)
}

// unsealOnce unseals and keeps a credential. All who miss it at the same time
// share one unseal, which does not end when one of them leaves.
func (c *Cache) unsealOnce(ctx context.Context, ref *Ref) (*entry, error) {
	shared := *ref // the caller's may be gone before the unseal ends
	key := shared.Context.CredentialID + "/" + strconv.FormatInt(shared.Generation, 10)
	v, err, _ := c.flights.Do(key, func() (any, error) {
		credential, err := c.unseal(context.WithoutCancel(ctx), &shared)
		if err != nil {
			return nil, err
		}
		life := jitter(c.ttl)
		now := time.Now()
		e := &entry{Credential: credential, generation: shared.Generation, fresh: now.Add(life), end: now.Add(life + c.grace)}
		e.expiry = time.AfterFunc(life+c.grace, credential.Wipe)
		for end, held := e.end.UnixNano(), c.until.Load(); end > held && !c.until.CompareAndSwap(held, end); held = c.until.Load() {
		}
		c.entries.SetWithTTL(shared.Context.CredentialID, e, 1, c.ttl+c.grace)
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*entry), nil //nolint:forcetypeassert // the flight's own value
}
