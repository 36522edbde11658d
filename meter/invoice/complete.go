package invoice

import (
	"context"
	"errors"
	"fmt"
)

// ErrIncomplete says that events that a closed invoice was computed from are not in the
// store any more. Without them an invoice would credit what was used.
var ErrIncomplete = errors.New("events that a closed invoice counted are missing from the store; restore the records (ownkey restore, or ClickHouse's own backup) before invoices are made")

// complete reports whether the store still has what the newest closed invoice
// was computed from: every memory that was stored or deleted until then, and
// the retrievals of its month.
func (b *Book) complete(ctx context.Context, a *account) error {
	if len(a.closed) == 0 {
		return nil
	}
	return b.unchanged(ctx, a.closed[len(a.closed)-1])
}

// unchanged reads the rows of a closed invoice again, as they were known then,
// and compares their digest with the one on it.
func (b *Book) unchanged(ctx context.Context, d *Document) error {
	book, err := read(ctx, b.Events, d.Tenant, d.Month, d.Month, d.Watermark)
	if err != nil {
		return err
	}
	if book.events != d.Events || book.digest != d.SHA256 {
		return fmt.Errorf("%w: %s was computed from %d events, and %d are there", ErrIncomplete, d.Month, d.Events, book.events)
	}
	return nil
}
