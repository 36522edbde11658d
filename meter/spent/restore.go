package spent

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
)

// Before gives what was spent on a day and after it, by everything that earlier
// processes have written to the ledger: what is counted, and what the ledger
// holds behind it. It reads the ledger's tail once: some seconds for a million
// requests (TestStartWithABacklog measures it). The drain must not have begun yet.
func (b *Book) Before(ctx context.Context, j *meter.Journal, day int64) ([]Spent, error) {
	at, _, err := drain.Resume(ctx, b, j)
	if err != nil {
		return nil, fmt.Errorf("cannot read what tokens have spent: %w", err)
	}
	all, err := b.Since(ctx, day)
	if err != nil {
		return nil, err
	}
	tail := tail{counted: b.last, sums: map[Spent]int64{}, opens: map[uuid.UUID][]byte{}}
	if err := tail.read(ctx, j, at); err != nil {
		return nil, fmt.Errorf("cannot read what tokens have spent: %w", err)
	}
	for of, n := range tail.sums {
		if of.Day >= day {
			of.Tokens = n
			all = append(all, of)
		}
	}
	return all, nil
}

// tail is what the ledger holds behind a checkpoint.
type tail struct {
	counted map[uuid.UUID]bool
	sums    map[Spent]int64
	opens   map[uuid.UUID][]byte
}

func (t *tail) read(ctx context.Context, j *meter.Journal, at drain.Checkpoint) error {
	for _, row := range at.Open {
		t.opens[meter.EventIDOf(row)] = row
	}
	began := j.Began()
	err := j.Read(at.Next, func(next ledger.Position, kind ledger.Kind, row []byte) bool {
		if next.File >= began.File || ctx.Err() != nil {
			return false
		}
		switch kind {
		case meter.FrameOpen:
			t.opens[meter.EventIDOf(row)] = bytes.Clone(row)
		case meter.FrameRequest:
			delete(t.opens, meter.EventIDOf(row))
			t.count(row, false)
		}
		return true
	})
	for _, row := range t.opens {
		t.count(row, true)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// count adds a request that is not counted yet. A row that cannot be read spends
// nothing, in the drain as well.
func (t *tail) count(row []byte, interrupted bool) {
	var r meter.Record
	if t.counted[meter.EventIDOf(row)] || meter.Decode(row, &r) != nil {
		return
	}
	if interrupted {
		r.Interrupt()
	}
	if n := r.Tokens(); n > 0 {
		of := keyOf(&r)
		t.sums[of] = meter.Add(t.sums[of], n)
	}
}

// keyOf is whose tokens a request has spent, and when.
func keyOf(r *meter.Record) Spent {
	return Spent{Tenant: r.TenantID, Token: r.TokenID, Day: DayOf(r.Start.Add(r.TotalTime))}
}
