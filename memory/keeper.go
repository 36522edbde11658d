package memory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base32"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/puzpuzpuz/xsync/v4"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the steps of the store's schema, for whoever opens the
// database.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("BUG: embedded folder: " + err.Error())
	}
	return files
}

// Event is what the platform bills for. A crash may hand it on twice, with the
// same id.
type Event struct {
	ID        uuid.UUID // UUIDv7
	At        time.Time
	Tenant    string
	Token     string
	BucketID  string
	RequestID uuid.UUID
	Op        Op
	Count     int64
	Bytes     int64
}

// Op says what happened to memories.
type Op uint8

// What can happen to memories.
const (
	Stored Op = iota
	Deleted
	Retrieved
)

// Options of a keeper. Write and Read are one SQLite database, migrated with
// [Migrations]: Write has a single connection.
type Options struct {
	Write, Read *sql.DB
	// Erase waits until what was deleted before the call is in no file of that
	// database any more, or within its bound: what is late then is erased as soon
	// as that is possible, and counted.
	Erase func(context.Context) error
	// Emit hands an event to the meter, for good.
	Emit func(Event) error
	// Tenants tells whether a tenant exists still; the memories of one that
	// does not are deleted.
	Tenants func(id string) bool
	// Settings are what a tenant has chosen.
	Settings func(tenant string) Settings
	// MaxResidentBytes bounds the buckets that are held in memory, and a quarter of
	// it what one bucket may store.
	MaxResidentBytes int64
	// MaxBucketMemories bounds one bucket, and MaxTenantBuckets one tenant.
	MaxBucketMemories, MaxTenantBuckets int64
	// MaxTenantBytes bounds what one tenant has stored: contents, history, what
	// stands beside them, and 512 bytes for each memory.
	MaxTenantBytes int64
	// QueryEmbedding is how long a recall waits for the question's vector. Zero:
	// it asks for none.
	QueryEmbedding time.Duration
	// Concurrency is how many calls of a tenant's models may be in flight.
	Concurrency int
	// Trouble is told of failures that no caller hears of; it must not block.
	Trouble func(what string, err error)
}

// Settings are a tenant's own. Models are named as a client would; empty is
// off.
type Settings struct {
	Embeddings string
	Extraction string
}

// Keeper keeps memories. It is safe for concurrent use.
type Keeper struct {
	o        Options
	buckets  *xsync.Map[bucketKey, *bucket]
	held     atomic.Int64 // bytes of resident buckets
	secret   []byte       // that the marker of blocks is keyed with
	provider Provider     // set by Start

	loads      places
	households *xsync.Map[string, *household] // by tenant
	deleting   deletions
	evicting   sync.Mutex             // held by who makes room
	oversize   atomic.Pointer[bucket] // the one that outgrew its share last; nil for none

	sweeping sync.Mutex
	models   map[string]string // embeddings models by tenant; guarded by sweeping

	background context.Context // ends with Close
	stop       context.CancelFunc
	running    sync.WaitGroup
	wakeEvents chan struct{}
	wakeJobs   chan struct{}
	waiting    waitingTurns
	computing  pace.Fair // held while a captured turn is looked through for secrets, or a long content is hashed: the other cores are for calls
	searching  pace.Fair // held while all of a bucket is read in the store for a filter: the other readers are for calls
	counts     Counts
}

// Counts are what happened since the start.
type Counts struct {
	Captured, CaptureDropped, CaptureRefused atomic.Int64
	Embedded, Extracted, JobsGivenUp         atomic.Int64
	Loads, Evictions                         atomic.Int64
	ErasedLate                               atomic.Int64 // deletions that were answered before the log was free of them
}

// Open prepares a keeper and starts its goroutines.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	k := &Keeper{
		o: o, buckets: xsync.NewMap[bucketKey, *bucket](), households: xsync.NewMap[string, *household](), models: map[string]string{},
		wakeEvents: make(chan struct{}, 1), wakeJobs: make(chan struct{}, 1),
	}
	var err error
	if k.secret, err = k.ownSecret(ctx); err != nil {
		return nil, err
	}
	if err = k.readDeletions(ctx); err != nil {
		return nil, err
	}
	k.background, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	k.running.Go(k.handOnEvents)
	k.running.Go(k.expire)
	return k, nil
}

// Start brings the one who runs the tenants' models, and begins with what they
// have to do. Until then nothing that needs them is done. It is called once,
// before the first call that may ask a model.
func (k *Keeper) Start(p Provider) {
	k.provider = p
	k.running.Go(k.runJobs)
}

// Close waits for what is being written. Turns that were captured and not yet
// stored are stored for turnsCloseTime, and then dropped and counted.
func (k *Keeper) Close() {
	k.counts.CaptureDropped.Add(int64(k.waiting.close(turnsCloseTime)))
	k.stop()
	k.running.Wait()
}

// Counts gives the counters; they go on.
func (k *Keeper) Counts() *Counts { return &k.counts }

// ResidentBytes is how much the buckets in memory hold, as estimated.
func (k *Keeper) ResidentBytes() int64 { return k.held.Load() }

// WaitingBytes is how much text was captured and is not stored yet.
func (k *Keeper) WaitingBytes() int { return k.waiting.bytes() }

// ownSecret reads the secret of this database, or makes it.
func (k *Keeper) ownSecret(ctx context.Context) (secret []byte, err error) {
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails (Go 1.24 release notes)
	_, err = k.o.Write.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES ('marker', ?) ON CONFLICT DO NOTHING", fresh)
	if err == nil {
		err = k.o.Write.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = 'marker'").Scan(&secret)
	}
	return secret, unavailable(err)
}

// write runs a change in one transaction.
func (k *Keeper) write(ctx context.Context, change func(tx *sql.Tx) error) error {
	tx, err := k.o.Write.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := change(tx); err != nil {
		return storeError(err)
	}
	return unavailable(tx.Commit())
}

// storeError keeps the room's own errors and marks all others as the
// database's.
func storeError(err error) error {
	var invalid *InvalidError
	for _, own := range []error{ErrNotFound, ErrFull, ErrTooLarge, ErrTenantFull, ErrTooManyBuckets, ErrKeyReused, ErrUnavailable} {
		if errors.Is(err, own) {
			return err
		}
	}
	if err == nil || errors.As(err, &invalid) {
		return err
	}
	return unavailable(err)
}

// idAlphabet is RFC 4648's, in lower case: an id stands in a block, where it
// costs tokens, so it is short.
var idAlphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// newID makes an id that nobody can guess: 75 bits.
func newID(prefix string) string {
	b := make([]byte, 10)
	rand.Read(b) // never fails (Go 1.24 release notes)
	return prefix + strings.ToLower(idAlphabet.EncodeToString(b))[:15]
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// wake tells a goroutine that there is work.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it knows already
	}
}
