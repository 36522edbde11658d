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
	// keepDeleted is how long deleted rows stay for replicas to see.
	keepDeleted = 7 * 24 * time.Hour
)

// Options of a directory.
type Options struct {
	// MaxStaleness is how long the replica is believed without hearing from
	// the database. Zero means 15 minutes.
	MaxStaleness time.Duration
	// Providers are the names that a route, and an entry of a token's models, may
	// mean a provider by. None is any.
	Providers []string
}

// Directory answers who may call. It is safe for concurrent use.
type Directory struct {
	db           *db.DB
	maxStaleness time.Duration
	providers    map[string]bool

	tokens  *xsync.Map[tokenID, *Token]
	tenants *xsync.Map[string, *Tenant]

	heard   atomic.Int64 // Unix nanoseconds of the last answer of the database
	failing atomic.Bool  // the last question was not answered

	feed     sync.Mutex // held by whoever applies changes
	revision int64      // up to which the replica is complete; guarded by feed

	stop   context.CancelFunc
	closed sync.WaitGroup
}

// Open migrates the database, loads the replica and begins to follow.
func Open(ctx context.Context, database *db.DB, o Options) (*Directory, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := database.Migrate(ctx, files, "directory_migrations"); err != nil {
		return nil, err
	}
	d := &Directory{
		db: database, maxStaleness: o.MaxStaleness, providers: make(map[string]bool, len(o.Providers)),
		tokens:  xsync.NewMap[tokenID, *Token](),
		tenants: xsync.NewMap[string, *Tenant](),
	}
	for _, name := range o.Providers {
		d.providers[name] = true
	}
	if d.maxStaleness == 0 {
		d.maxStaleness = 15 * time.Minute
	}
	if err := d.purge(ctx); err != nil {
		return nil, err
	}
	if err := d.sync(ctx); err != nil {
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

// Ready reports whether the replica can be believed.
func (d *Directory) Ready() error {
	if d.stale(time.Now()) || d.failing.Load() {
		return ErrUnavailable
	}
	return nil
}

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
	if !wellFormed || !known || !same || !token.RevokedAt.IsZero() || !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
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

// follow asks for changes until it is stopped.
func (d *Directory) follow(ctx context.Context) {
	defer crash.Exit()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// The error is kept in d.failing: Ready and Authenticate tell it.
			_ = d.sync(ctx)
		}
	}
}

// sync brings the replica up to the database.
func (d *Directory) sync(ctx context.Context) error {
	d.feed.Lock()
	defer d.feed.Unlock()
	ctx, stop := context.WithTimeout(ctx, 10*pollInterval)
	defer stop()
	err := d.pull(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return err // we are closing: that says nothing of the database
	}
	d.failing.Store(err != nil)
	if err == nil {
		d.heard.Store(time.Now().UnixNano())
	}
	return err
}
