package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/rs/zerolog"
)

// ErrRefused is what a sink's Take returns, wrapped, when the store works and
// refuses a row of the batch. Every other error means that the store is down,
// and the batch is tried again for ever.
var ErrRefused = errors.New("the store refuses a row")

// Guard stands in front of a store. Of a batch that the store refuses it sets
// aside the rows that are refused alone, and the others are taken: one tenant's
// row never stops another's.
type Guard struct {
	Store      Sink
	Quarantine *quarantine.File
	Log        *zerolog.Logger
}

// Checkpoint implements Sink.
func (g *Guard) Checkpoint(ctx context.Context, gateway uuid.UUID) (Checkpoint, error) {
	return g.Store.Checkpoint(ctx, gateway)
}

// Take implements Sink.
func (g *Guard) Take(ctx context.Context, b *Batch) error {
	err := g.Store.Take(ctx, b)
	if !errors.Is(err, ErrRefused) {
		return err
	}
	before, err := g.Store.Checkpoint(ctx, b.Gateway.Gateway)
	if err != nil {
		return err
	}
	// Parts are taken under the old checkpoint: after a crash the whole batch
	// comes again, and a store takes each event id once.
	if err := g.takeParts(ctx, b, before, rowsOf(b)); err != nil {
		return err
	}
	return g.Store.Take(ctx, &Batch{Gateway: b.Gateway, Checkpoint: b.Checkpoint})
}

// takeParts takes rows in halves, down to the single ones that are refused.
func (g *Guard) takeParts(ctx context.Context, b *Batch, at Checkpoint, rows []meter.Row) error {
	if len(rows) == 0 {
		return nil
	}
	part := &Batch{Gateway: b.Gateway, Checkpoint: at, Pace: b.Pace}
	for _, r := range rows {
		part.add(r)
	}
	err := g.Store.Take(ctx, part)
	switch {
	case !errors.Is(err, ErrRefused):
		return err
	case len(rows) == 1:
		return g.setAside(rows[0], err)
	}
	middle := len(rows) / 2
	if err := g.takeParts(ctx, b, at, rows[:middle]); err != nil {
		return err
	}
	return g.takeParts(ctx, b, at, rows[middle:])
}

func (g *Guard) setAside(r meter.Row, why error) error {
	row := quarantine.Of(r, "refused by the store", time.Now())
	if err := g.Quarantine.Add(row); err != nil {
		return err
	}
	g.Log.Error().Str("book", row.Book).Stringer("event_id", row.EventID).Err(why).Msg("the store refuses a record; it was set aside")
	return nil
}

func rowsOf(b *Batch) []meter.Row {
	rows := make([]meter.Row, 0, b.Rows())
	for _, r := range b.Requests {
		rows = append(rows, r)
	}
	for _, r := range b.Unseals {
		rows = append(rows, r)
	}
	for _, r := range b.Memory {
		rows = append(rows, r)
	}
	return rows
}

// add puts a row in the list of its kind.
func (b *Batch) add(r meter.Row) {
	switch r := r.(type) {
	case *meter.Record:
		b.Requests = append(b.Requests, r)
	case *meter.Unseal:
		b.Unseals = append(b.Unseals, r)
	case *meter.MemoryEvent:
		b.Memory = append(b.Memory, r)
	default:
		panic(fmt.Sprintf("BUG: no list for %T", r))
	}
}
