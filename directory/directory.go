package directory

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/puzpuzpuz/xsync/v4"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// pollInterval is how often the database is asked for changes of other
	// processes: a revocation is effective everywhere well within the promised
	// two seconds.
	pollInterval = 500 * time.Millisecond
	// stallLimit is the silence of the database after which following gives up
	// and asks again. What takes long because it is much goes on.
	stallLimit = 5 * time.Second
	// beatRows are read between two signs of life.
	beatRows = 1000
	// progressInterval is the time between two reports of the first load.
	progressInterval = 2 * time.Second
	// keepDeleted is how long deleted credentials stay for replicas to see.
	keepDeleted = 7 * 24 * time.Hour
	// keepExpired is how long expired tokens stay in the replica: longer than any
	// stream that they began.
	keepExpired = 24 * time.Hour
	// keepEnded is how long tokens that were revoked or have expired stay in the
	// table, and so in lists.
	keepEnded = 90 * 24 * time.Hour
	// tidyInterval is how often both are looked for. purgeRows are deleted at
	// once: a writer never waits long for it.
	tidyInterval = 10 * time.Minute
	purgeRows    = 5000
)

// Options of a directory.
type Options struct {
	// MaxStaleness is how long the replica is believed without hearing from
	// the database. Zero means 15 minutes.
	MaxStaleness time.Duration
	// Providers are the names that a route, and an entry of a token's models, may
	// mean a provider by, until SetProviders. None is any.
	Providers []string
	// Loading is called every two seconds while Open loads, with the number of
	// rows so far. It may be nil.
	Loading func(rows int)
}

// Directory answers who may call. It is safe for concurrent use.
type Directory struct {
	db           *db.DB
	maxStaleness time.Duration
	providers    atomic.Pointer[map[string]bool] // never changed, only replaced

	tokens  *xsync.Map[tokenID, *Token]
	tenants *xsync.Map[string, *Tenant]

	heard   atomic.Int64 // Unix nanoseconds of the last answer of the database
	failing atomic.Bool  // the last question was not answered

	feed     sync.Mutex // held by whoever applies changes
	revision int64      // up to which the replica is complete; guarded by feed
	pulled   int        // rows, by the pull that runs; guarded by feed
	beat     func()     // called after each beatRows of them; guarded by feed
	// lastReport of the first load.
	lastReport time.Time

	stop   context.CancelFunc
	closed sync.WaitGroup
}

// Open migrates the database, loads the replica and begins to follow. The load
// takes as long as it takes: a million tokens are some seconds.
func Open(ctx context.Context, database *db.DB, o Options) (*Directory, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := database.Migrate(ctx, files, "directory_migrations"); err != nil {
		return nil, err
	}
	d := &Directory{
		db: database, maxStaleness: o.MaxStaleness,
		tokens:  xsync.NewMap[tokenID, *Token](),
		tenants: xsync.NewMap[string, *Tenant](), lastReport: time.Now(),
	}
	d.SetProviders(o.Providers)
	if d.maxStaleness == 0 {
		d.maxStaleness = 15 * time.Minute
	}
	if err := d.purge(ctx, time.Now()); err != nil {
		return nil, err
	}
	if err := d.load(ctx, o.Loading); err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	d.closed.Go(func() { d.follow(following) })
	return d, nil
}

// Close stops following. The database stays open; it is the caller's.
func (d *Directory) Close() {
	d.stop()
	d.closed.Wait()
}

// Ready reports whether the database answers.
func (d *Directory) Ready() error {
	if d.Stale() || d.failing.Load() {
		return ErrUnavailable
	}
	return nil
}

// Stale reports that the database has not answered for so long that the replica
// is not believed any more.
func (d *Directory) Stale() bool { return d.stale(time.Now()) }

func (d *Directory) stale(now time.Time) bool {
	return now.UnixNano()-d.heard.Load() > int64(d.maxStaleness)
}

// Caller is who presented a token.
type Caller struct {
	Tenant *Tenant
	Token  *Token
}

// Authenticate finds the caller by a token. Whatever is wrong with the token,
// the answer is ErrInvalidToken and the work is the same: one digest, one
// comparison. While the database is silent, known tokens go on for a bounded
// time, and an unknown one is ErrUnavailable: nobody can say that it is not
// valid.
func (d *Directory) Authenticate(presented []byte, now time.Time) (Caller, error) {
	fault.At("directory.authenticate")
	id, wellFormed := idOf(presented)
	token, known := d.tokens.Load(id)
	if !known {
		token = nobody
	}
	digest := sha256.Sum256(presented)
	same := subtle.ConstantTimeCompare(digest[:], token.digest[:]) == 1
	if d.stale(now) || wellFormed && !known && d.failing.Load() {
		return Caller{}, ErrUnavailable
	}
	if !wellFormed || !known || !same || token.ended(now) {
		return Caller{}, ErrInvalidToken
	}
	tenant, ok := d.tenants.Load(token.TenantID)
	if !ok {
		return Caller{}, ErrInvalidToken
	}
	return Caller{tenant, token}, nil
}

// nobody is compared with when there is no such token.
var nobody = &Token{}

// load fills the replica.
func (d *Directory) load(ctx context.Context, report func(rows int)) error {
	d.feed.Lock()
	defer d.feed.Unlock()
	d.pulled, d.beat = 0, func() {
		if report != nil && time.Since(d.lastReport) >= progressInterval {
			d.lastReport = time.Now()
			report(d.pulled)
		}
	}
	if err := d.pull(ctx); err != nil {
		return err
	}
	d.heard.Store(time.Now().UnixNano())
	return nil
}

// follow asks for changes until it is stopped, and drops what has ended.
func (d *Directory) follow(ctx context.Context) {
	defer crash.Exit()
	tick, tidy := time.NewTicker(pollInterval), time.NewTicker(tidyInterval)
	defer tick.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// The error is kept in d.failing: Ready and Authenticate tell it.
			_ = d.sync(ctx)
		case now := <-tidy.C:
			d.forgetExpired(now)
			// What is not purged now is at the next time.
			_ = d.purge(ctx, now)
		}
	}
}

// sync brings the replica up to the database.
func (d *Directory) sync(ctx context.Context) error {
	d.feed.Lock()
	defer d.feed.Unlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stall := time.AfterFunc(stallLimit, func() { stop(context.DeadlineExceeded) })
	defer stall.Stop()
	d.pulled, d.beat = 0, func() { stall.Reset(stallLimit) }
	err := d.pull(ctx)
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return err // we are closing: that says nothing of the database
	}
	d.failing.Store(err != nil)
	if err == nil {
		d.heard.Store(time.Now().UnixNano())
	}
	return err
}
