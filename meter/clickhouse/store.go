package clickhouse

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/rs/zerolog"
)

// Options of a store. All fields are required.
type Options struct {
	Server Server
	// Dir is where segments wait.
	Dir string
	// MaxBytes bounds them.
	MaxBytes int64
	// Quarantine gets rows that the server refuses twice: in their table, and
	// in the table of rejects.
	Quarantine *quarantine.File
	// Claim decides whether records may go to the database that is found, before
	// any does. A Problem keeps them here.
	Claim func(ctx context.Context, s *Store) error
	Log   *zerolog.Logger
}

// Store keeps records in ClickHouse. It is safe for concurrent use.
type Store struct {
	client     *client
	spool      *spool
	quarantine *quarantine.File
	claim      func(ctx context.Context, s *Store) error
	log        *zerolog.Logger
	stop       context.CancelFunc
	done       sync.WaitGroup

	checked bool // the sender's: the server was found to be as it must be

	failing     atomic.Int32 // the class of the last failure, +1
	taken       atomic.Int64 // rows
	segments    atomic.Int64 // that were taken
	failures    atomic.Int64
	rejected    atomic.Int64
	quarantined atomic.Int64 // segments
}

// Open connects, refuses a server that would lose or double rows, and begins to
// send what waits. A server that can not be reached is no error: the records
// wait for it, up to Options.MaxBytes.
func Open(ctx context.Context, o Options) (*Store, error) {
	c, err := connect(o.Server)
	if err != nil {
		return nil, err
	}
	s := &Store{client: c, quarantine: o.Quarantine, claim: o.Claim, log: o.Log}
	if s.spool, err = openSpool(o.Dir, o.MaxBytes, s.damaged); err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		if _, ok := errors.AsType[*Problem](err); ok {
			return nil, errors.Join(err, c.close())
		}
		o.Log.Warn().Err(err).Msg("ClickHouse can not be reached; records wait in the data directory")
	} else {
		s.checked = true
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.sender(ctx) })
	return s, nil
}

// check refuses a server that is not as it must be, and one that is not ours.
func (s *Store) check(ctx context.Context) error {
	if err := s.client.check(ctx); err != nil {
		return err
	}
	return s.claim(ctx, s)
}

// Checkpoint implements drain.Sink.
func (s *Store) Checkpoint(_ context.Context, gateway uuid.UUID) (drain.Checkpoint, error) {
	return s.spool.checkpoint(gateway), nil
}

// Take implements drain.Sink: the batch is kept in a segment on this machine's
// disk, and sent from there.
func (s *Store) Take(_ context.Context, b *drain.Batch) error { return s.spool.add(b) }

// Flush waits until ClickHouse has everything that was taken.
func (s *Store) Flush(ctx context.Context) error { return s.spool.empty(ctx) }

// Close stops sending. What was not acknowledged waits for the next start.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	return s.client.close()
}

// State is what an operator watches.
type State struct {
	Segments   int       // that wait
	Bytes      int64     // of them
	Oldest     time.Time // when the oldest was made; zero for none
	Rows       int64     // that ClickHouse has taken
	Failures   int64     // of insertions
	Rejected   int64     // rows in the table of rejects
	Quarantine int64     // segments that were damaged on the disk
}

// State tells how the sending goes, since the start.
func (s *Store) State() State {
	segments, bytes, oldest := s.spool.state()
	return State{segments, bytes, oldest, s.taken.Load(), s.failures.Load(), s.rejected.Load(), s.quarantined.Load()}
}

// sends notes a success, and says so after failures.
func (s *Store) sends() {
	if s.failing.Swap(0) != 0 {
		s.log.Info().Msg("ClickHouse takes records again")
	}
}

// sendFails notes a failure, and says so when it is of another kind than the
// last.
func (s *Store) sendFails(err error, kind class, code int32) {
	s.failures.Add(1)
	if s.failing.Swap(int32(kind)+1) == int32(kind)+1 {
		return
	}
	message := "ClickHouse does not take records; they wait in the data directory"
	if kind == configuration {
		message = "ClickHouse has to be mended before it takes records; they wait in the data directory"
	}
	s.log.Error().Err(err).Int32("code", code).Msg(message)
}

// damaged tells of a segment that was set aside, or that is gone: kept is empty.
func (s *Store) damaged(kept string) {
	s.quarantined.Add(1)
	if kept == "" {
		s.log.Error().Msg("a segment of records was removed from its directory before ClickHouse had it")
		return
	}
	s.log.Error().Str("kept", kept).Msg("a segment of records is damaged and was set aside")
}

// rejects tells of a row that ClickHouse refuses.
func (s *Store) rejects(book string, id uuid.UUID, code int32) {
	s.rejected.Add(1)
	s.log.Error().Str("book", book).Stringer("event_id", id).Int32("code", code).Msg("ClickHouse refuses a record; it is in the table rejects")
}

var _ drain.Sink = (*Store)(nil)
