// Package drain carries rows from the ledger to a sink, in order, each once.
//
// It reads frames from where the sink's checkpoint says, gathers them to
// batches, and forgets a part of the ledger only when the sink has taken it. A
// request that was opened and whose process died before it was closed becomes
// one row marked interrupted.
package drain

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/rs/zerolog"
)

// Checkpoint is how far a sink has taken a ledger.
type Checkpoint struct {
	Next ledger.Position `json:"next"`
	// Open are the rows of the requests that were open there, as frames hold
	// them: the ledger may have forgotten them.
	Open [][]byte `json:"open,omitempty"`
}

// Batch is what a sink takes at once.
type Batch struct {
	Gateway    ledger.Identity
	Requests   []*meter.Record
	Unseals    []*meter.Unseal
	Memory     []*meter.MemoryEvent
	Checkpoint Checkpoint // after it
	// Earlier: it has rows of an earlier process. Where the ledger was restored,
	// or copied, they may have been taken before, in other batches.
	Earlier bool
	// Pace is kept by whoever works through the rows.
	Pace pace.Pace
}

// Rows is how many rows the batch has.
func (b *Batch) Rows() int { return len(b.Requests) + len(b.Unseals) + len(b.Memory) }

// Sink keeps rows for good.
type Sink interface {
	// Checkpoint says how far this gateway's ledger was taken: the zero value
	// if it never was.
	Checkpoint(ctx context.Context, gateway uuid.UUID) (Checkpoint, error)
	// Take keeps a batch together with its checkpoint, durably: both or
	// neither. After an error it is called again with the same batch. Rows are
	// the caller's, and others when Take has returned.
	Take(ctx context.Context, b *Batch) error
}

// Options of a drain. Journal, Sink, Quarantine and Log are required.
type Options struct {
	Journal *meter.Journal
	Sink    Sink
	// Quarantine gets the rows that this program cannot read.
	Quarantine *quarantine.File
	Log        *zerolog.Logger
	// Lines gets rows as JSON lines, unless it is nil: every one but most of many
	// refusals, which are counted. After a crash some lines can come twice; the
	// sink's rows do not.
	Lines io.Writer
	// Shown reports whether lines are wanted now; nil for always.
	Shown func() bool
	// Interval is how long rows wait for others. Zero means 500 ms.
	Interval time.Duration
	// Hold keeps the first pass back until it is closed; nil begins at once.
	Hold <-chan struct{}
	// BatchRows bounds a batch. Zero means 20,000.
	BatchRows int
}

// Drain is at work until Close. It is safe for concurrent use.
type Drain struct {
	o       Options
	lines   *lines             // the worker's; nil for none
	flushes chan chan struct{} // each is closed when what was there is taken
	stop    context.CancelFunc
	done    sync.WaitGroup

	// The worker's own.
	cursor  ledger.Position
	opens   map[uuid.UUID][]byte
	hurry   bool // the last pass took longer than rows may wait, or somebody waits for this one
	settled bool // what dead processes had left open was dealt with
	waiting *Batch
	// What was used and can be used again: at 30,000 records a second, making
	// it anew is work that requests wait for.
	spareRows  []*meter.Record
	spareOpens [][]byte

	failing atomic.Bool
	taken   atomic.Int64 // rows
	behind  atomic.Int64 // since when there are rows that are not taken, Unix ms; 0 for none
}

// Start begins to drain.
func Start(ctx context.Context, o Options) (*Drain, error) {
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.BatchRows == 0 {
		o.BatchRows = 20_000
	}
	at, lost, err := Resume(ctx, o.Sink, o.Journal)
	if err != nil {
		return nil, fmt.Errorf("cannot read the sink's checkpoint: %w", err)
	}
	if lost {
		o.Log.Error().Msg("files of the ledger are gone since it was last handed on; what is there is handed on from its beginning")
	}
	d := &Drain{o: o, cursor: at.Next, opens: map[uuid.UUID][]byte{}, flushes: make(chan chan struct{})}
	if o.Lines != nil {
		d.lines = &lines{printer: meter.NewPrinter(o.Lines), refusals: map[refusal]*refused{}}
	}
	for _, row := range at.Open {
		d.opens[meter.EventIDOf(row)] = row
	}
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	d.done.Go(func() { d.work(ctx) })
	return d, nil
}

// Resume is how far a sink has taken a journal's ledger. lost says that the
// ledger ends before that: its files are gone, new ones have their numbers, and
// all that is in them is to be taken.
func Resume(ctx context.Context, s Sink, j *meter.Journal) (at Checkpoint, lost bool, err error) {
	at, err = s.Checkpoint(ctx, j.Identity().Gateway)
	if lost = err == nil && j.Began().Before(at.Next); lost {
		at.Next = ledger.Position{}
	}
	return at, lost, err
}

// Flush waits until everything that was appended before the call is taken.
func (d *Drain) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case d.flushes <- done:
	case <-ctx.Done():
		return fmt.Errorf("rows wait in the ledger: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rows wait in the ledger: %w", ctx.Err())
	}
}

// Close stops. What was not taken stays in the ledger for the next start.
func (d *Drain) Close() {
	d.stop()
	d.done.Wait()
}

// Taken counts the rows that the sink has taken.
func (d *Drain) Taken() int64 { return d.taken.Load() }

// Lag is for how long rows have waited that no pass has handed over: because the
// sink does not take them, or because the pass itself does not come to its end.
func (d *Drain) Lag() time.Duration {
	since := d.behind.Load()
	if since == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(since)))
}

// slowest bounds the pause between two tries.
const slowest = 10 * time.Second

func (d *Drain) work(ctx context.Context) {
	defer crash.Exit()
	if d.o.Hold != nil {
		select {
		case <-ctx.Done():
			return
		case <-d.o.Hold:
		}
	}
	defer func() {
		if d.shown() {
			d.lines.pass(time.Now().Add(refusalInterval))
		}
	}()
	var flushes []chan struct{}
	pause := d.o.Interval
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case f := <-d.flushes:
			timer.Stop()
			flushes = d.asked(append(flushes, f))
		case <-timer.C:
			flushes = d.asked(flushes)
		}
		d.hurry = d.hurry || len(flushes) > 0
		if d.shown() {
			d.lines.pass(time.Now())
		}
		if err := d.take(ctx); err != nil {
			d.fails(err)
			pause = min(slowest, 2*pause) + rand.N(pause/4) //nolint:gosec // it is no secret
			continue
		}
		d.works()
		pause = d.o.Interval
		for _, f := range flushes { // one pass reads what was there when it began
			close(f)
		}
		flushes = flushes[:0]
	}
}

// asked adds all who wait for a flush: one pass is for all of them.
func (d *Drain) asked(flushes []chan struct{}) []chan struct{} {
	for {
		select {
		case f := <-d.flushes:
			flushes = append(flushes, f)
		default:
			return flushes
		}
	}
}

func (d *Drain) fails(err error) {
	if !d.failing.Swap(true) {
		d.o.Log.Error().Err(err).Msg("cannot hand records on; they wait in the ledger")
	}
}

func (d *Drain) works() {
	d.behind.Store(0)
	if d.failing.Swap(false) {
		d.o.Log.Info().Msg("records are handed on again")
	}
}

// take hands over everything that is in the ledger now.
func (d *Drain) take(ctx context.Context) error {
	fault.At("meter.drain")
	began := time.Now()
	defer func() { d.hurry = time.Since(began) > d.o.Interval }()
	if d.o.Journal.End() != d.cursor {
		d.behind.CompareAndSwap(0, began.UnixMilli())
	}
	for more := true; more; {
		d.hurry = d.hurry || time.Since(began) > d.o.Interval
		if d.waiting == nil {
			var err error
			if d.waiting, more, err = d.read(); err != nil {
				return err
			}
		}
		if d.waiting == nil {
			return nil
		}
		d.behind.CompareAndSwap(0, time.Now().UnixMilli())
		if err := d.o.Sink.Take(ctx, d.waiting); err != nil {
			return err
		}
		d.taken.Add(int64(d.waiting.Rows()))
		taken := d.waiting.Checkpoint.Next
		d.spareRows = append(d.spareRows, d.waiting.Requests...)
		d.waiting = nil
		if err := d.o.Journal.Trim(taken); err != nil {
			return err
		}
	}
	return nil
}
