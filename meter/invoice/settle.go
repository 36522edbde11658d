package invoice

import (
	"context"
	"fmt"
	"time"
)

// basis is what an invoice is computed from beside the events that it reads.
type basis struct {
	first Month  // the first month to be read
	state *state // at its beginning; nil to read from the beginning of all
}

// basis finds from which month on events must be read for an invoice of month:
// from the end of the last closed month, or from the earliest month that
// something came late for.
func (b *Book) basis(ctx context.Context, a *account, month Month, watermark time.Time) (basis, error) {
	if len(a.closed) == 0 {
		return basis{first: month}, nil
	}
	last := a.closed[len(a.closed)-1]
	if month.Before(last.Month) {
		// A month before closed ones, of a tenant that began earlier than was
		// known: all is read.
		first := month
		if a.closed[0].Month.Before(first) {
			first = a.closed[0].Month
		}
		return basis{first: first}, b.unchanged(ctx, last)
	}
	settled, err := b.settled(ctx, a)
	if err != nil {
		return basis{}, err
	}
	if err := b.complete(ctx, last, settled); err != nil {
		return basis{}, err
	}
	late, found, err := b.Events.EarliestLate(ctx, a.tenant, last.Month.End(), last.Watermark, watermark)
	if err != nil {
		return basis{}, unavailable(err)
	}
	if !found {
		return basis{last.Month.Next(), settled}, nil
	}
	first := MonthOf(late)
	if first.Before(a.closed[0].Month) {
		return basis{first: a.closed[0].Month}, nil
	}
	before, err := b.store.state(ctx, a.tenant, first.previous())
	return basis{first, before}, err
}

// settled gives the state at the end of the last closed month. Months that were
// closed before states were kept are read once, one after the other: each is
// stored, so that a call that ends early has not worked for nothing.
func (b *Book) settled(ctx context.Context, a *account) (*state, error) {
	last := a.closed[len(a.closed)-1]
	s, err := b.store.state(ctx, a.tenant, last.Month)
	if s != nil || err != nil {
		return s, err
	}
	var month *monthReading
	for m := a.closed[0].Month; !last.Month.Before(m); m = m.Next() {
		known, err := b.store.state(ctx, a.tenant, m)
		if err != nil {
			return nil, err
		}
		if known != nil {
			s = known
			continue
		}
		read, err := read(ctx, b.Events, a.tenant, s, m, m, last.Watermark)
		if err != nil {
			return nil, err
		}
		month = read[m]
		s = month.end
		if m == last.Month {
			if err := last.sameAs(month); err != nil {
				return nil, err
			}
			if s.Taken, err = b.taken(ctx, a.tenant, last.Watermark); err != nil {
				return nil, err
			}
		}
		if err := b.store.addState(ctx, a.tenant, m, s, len(a.closed)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (b *Book) taken(ctx context.Context, tenant string, watermark time.Time) (int64, error) {
	n, err := b.Events.CountTaken(ctx, tenant, watermark)
	if err != nil {
		return 0, unavailable(err)
	}
	return n, nil
}

// states are those of the months that were read, as of the watermark of the
// invoice that closes the last of them.
func (b *Book) states(ctx context.Context, d *Document, months map[Month]*monthReading) (map[Month]*state, error) {
	taken, err := b.taken(ctx, d.Tenant, d.Watermark)
	if err != nil {
		return nil, fmt.Errorf("count of events: %w", err)
	}
	states := map[Month]*state{}
	for m, r := range months {
		r.end.Taken = taken
		states[m] = r.end
	}
	return states, nil
}
