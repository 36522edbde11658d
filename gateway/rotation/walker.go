// Package rotation walks over the sealed rows in the background: it rewraps
// them when a key was rotated, moves them when the keyring has changed, shuts
// old key versions when no row needs them any more, and destroys the keys of
// tenants that were deleted for good.
//
// It is the part of the gateway that joins directory's rows with vaultbridge's
// keyrings over time. What it is at stands in the database, so that it goes on
// after a kill, in this process or another one. A row is replaced only if it is
// still what was read, so a walk can be repeated, doubled or broken off
// anywhere. Goroutines: one that waits for work, and a few workers during a
// walk; Close ends them.
package rotation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

const (
	// DefaultSettle is how long old ciphertexts stay good after the last row has
	// a new one: longer than it takes a replica to hear of it (two seconds, the
	// contract) and an admin call to store what it has sealed (sealTime in
	// gateway/admin).
	DefaultSettle = 10 * time.Second
	// lookInterval is how often somebody else's forgotten work is looked for.
	lookInterval = 2 * time.Second
	workers      = 4
)

// Options of a walker. All but Settle are required.
type Options struct {
	Directory *directory.Directory
	Ring      *vaultbridge.Ring
	Log       *zerolog.Logger
	// Rate is how many rows are rewrapped in a second, at most.
	Rate int
	// Rebind gives the address that a secret is to be bound to which is bound to
	// host:port alone; empty for none. See gateway.Gateway.Rebind.
	Rebind func(provider, baseURL, host string) string
	// Settle replaces DefaultSettle, for tests.
	Settle time.Duration
}

// Walker does the work that waits in the database.
type Walker struct {
	directory *directory.Directory
	ring      *vaultbridge.Ring
	log       *zerolog.Logger
	limiter   *rate.Limiter
	rebind    func(provider, baseURL, host string) string
	settle    time.Duration
	name      string // of this process, among those on the database
	wake      chan struct{}
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// New makes a walker and starts it. It goes on when ctx ends, until Close.
func New(ctx context.Context, o Options) *Walker {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &Walker{
		directory: o.Directory, ring: o.Ring, log: o.Log, settle: o.Settle, rebind: o.Rebind, stop: stop,
		limiter: rate.NewLimiter(rate.Limit(o.Rate), max(o.Rate, batchRows)),
		name:    uuid.NewString(), wake: make(chan struct{}, 1),
	}
	if w.settle == 0 {
		w.settle = DefaultSettle
	}
	w.done.Go(func() { w.work(ctx) })
	return w
}

// Close stops at the next row. What is left waits in the database.
func (w *Walker) Close() {
	w.stop()
	w.done.Wait()
}

// Wake has the database looked at now.
func (w *Walker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Walker) work(ctx context.Context) {
	defer crash.Exit()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		w.shredPending(ctx)
		w.walkPending(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// shredPending destroys the keys that a deletion has asked for.
func (w *Walker) shredPending(ctx context.Context) {
	pending, err := w.directory.PendingShreds(ctx)
	if err != nil {
		return // the directory tells its own troubles
	}
	for _, s := range pending {
		if err := w.Shred(ctx, s); err != nil && ctx.Err() == nil {
			w.log.Warn().Str("tenant", s.TenantID).Err(err).Msg("key of deleted tenant is not destroyed yet")
		}
	}
}

// Shred destroys the keys of a deleted tenant in every Vault on the ring. The
// local keyring has no key of one tenant, and refuses a shred before it is
// noted.
func (w *Walker) Shred(ctx context.Context, s directory.Shred) error {
	for _, k := range w.ring.All() {
		if k.Name() == vaultbridge.LocalName {
			continue
		}
		keys := []string{k.Key(s.TenantID)}
		if s.Unnamed {
			keys = append(keys, "")
		}
		if err := k.Destroy(ctx, s.TenantID, keys...); err != nil {
			return err
		}
	}
	if err := w.directory.Shredded(ctx, s.TenantID); err != nil {
		return err
	}
	w.log.Info().Str("tenant", s.TenantID).Msg("key of deleted tenant destroyed")
	return nil
}

// walkPending goes on with the walk that waits, if there is one.
func (w *Walker) walkPending(ctx context.Context) {
	job, err := w.directory.ClaimRewrap(ctx, w.name)
	if err != nil {
		return // none, or the directory tells its own troubles
	}
	walk := &walk{Walker: w, job: *job}
	walk.job.TenantsDone, walk.job.RowsFailed = 0, 0
	err = walk.run(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		walk.trouble.Store(publicTrouble(err))
		w.log.Warn().Err(err).Msg("rewrap waits")
	} else {
		w.log.Info().Int("rows", walk.job.RowsDone).Int("failed", walk.job.RowsFailed).Msg("rewrap done")
	}
	if err := walk.save(ctx); err != nil {
		w.log.Warn().Err(err).Msg("progress of rewrap is not stored")
	}
}

// publicTrouble is why a walk waits, in a word of ours.
func publicTrouble(err error) string {
	switch {
	case errors.Is(err, vaultbridge.ErrUnavailable):
		return "vault_unavailable"
	case errors.Is(err, vaultbridge.ErrUnsupported):
		return "no_admin_identity"
	case errors.Is(err, vaultbridge.ErrKeySettings):
		return "key_settings"
	case errors.Is(err, directory.ErrUnavailable):
		return "store_unavailable"
	}
	return "failed"
}

// walk is one run over the rows.
type walk struct {
	*Walker
	mu      sync.Mutex // guards job's counts
	job     directory.Rewrap
	trouble atomic.Value // string
}
