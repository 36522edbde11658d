package invoice

import (
	"context"
	"errors"
	"fmt"
)

// ErrIncomplete says that events that a closed invoice was computed from are not in the
// store any more. Without them an invoice would credit what was used.
var ErrIncomplete = errors.New("events that a closed invoice counted are missing from the store; restore the records (ownkey restore, or ClickHouse's own backup) before invoices are made")

// complete reports whether the store still has as many events as when d, the
// last closed invoice, was made. No event that was there then is read.
func (b *Book) complete(ctx context.Context, d *Document, settled *state) error {
	n, err := b.taken(ctx, d.Tenant, d.Watermark)
	if err != nil {
		return err
	}
	if n != settled.Taken {
		return fmt.Errorf("%w: the store had %d events of the tenant when %s was closed, and %d of them are there", ErrIncomplete, settled.Taken, d.Month, n)
	}
	return nil
}

// unchanged reads the rows of a closed invoice again, as they were known then,
// and compares their digest with the one on it.
func (b *Book) unchanged(ctx context.Context, d *Document) error {
	months, err := read(ctx, b.Events, d.Tenant, nil, d.Month, d.Month, d.Watermark)
	if err != nil {
		return err
	}
	return d.sameAs(months[d.Month])
}

// sameAs compares the rows that d was computed from with those that are there.
func (d *Document) sameAs(r *monthReading) error {
	if r.events != d.Events || r.digest != d.SHA256 {
		return fmt.Errorf("%w: %s was computed from %d events, and %d are there", ErrIncomplete, d.Month, d.Events, r.events)
	}
	return nil
}
