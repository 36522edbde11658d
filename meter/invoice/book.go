package invoice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// Grace is how long after its end a month stays open for events that come late.
const Grace = 72 * time.Hour

// The errors at the door.
var (
	// ErrNotBegun: the month that was asked for lies in the future.
	ErrNotBegun = errors.New("has not begun")
	// ErrNoTenantYet: the tenant did not exist in the month that was asked for.
	ErrNoTenantYet = errors.New("is before the tenant was created")
	// ErrUnavailable: the events, or the stored invoices, can not be read now.
	ErrUnavailable = errors.New("cannot reach the store of events or invoices")
	// ErrEvents: the store gave events that no invoice can be computed from.
	ErrEvents = errors.New("events are not in order")
	// ErrTooLarge: an amount or a count does not fit into 63 bits.
	ErrTooLarge = errors.New("is too large to be billed")
	// ErrMonth: a text is not a month.
	ErrMonth = errors.New("want a month as YYYY-MM, such as 2026-05")
	// ErrFormat: a text is not a format.
	ErrFormat = errors.New("want json, text, csv or html")
)

// Tenants tells when a tenant was one.
type Tenants interface {
	// Lifetime gives when a tenant was created and when it was deleted; the zero
	// time if it was not. A tenant that never was is an error.
	Lifetime(ctx context.Context, tenant string) (created, deleted time.Time, err error)
}

// Options are the parts of a Book. All fields are required.
type Options struct {
	Events  Events
	Tenants Tenants
	// DB keeps the closed invoices, in a table of their own.
	DB *db.DB
	// Plan gives the plan of a tenant as it is now.
	Plan func(tenant string) Plan
	Now  func() time.Time
}

// Book answers invoices. It is safe for concurrent use, by several processes on
// one database too.
type Book struct {
	Options
	store *store
}

// New brings the database's schema up to date and makes a book.
func New(ctx context.Context, o Options) (*Book, error) {
	s, err := openStore(ctx, o.DB)
	if err != nil {
		return nil, err
	}
	return &Book{o, s}, nil
}

// Invoice gives the invoice of a tenant for a month. A month that has been over
// for Grace is closed by this, and the months before it: their documents are
// stored and answered as they are from then on. Before that it is a draft.
//
// The error is ErrNotBegun, ErrNoTenantYet, ErrUnavailable, ErrEvents,
// ErrTooLarge, ErrIncomplete, or what Tenants gave.
func (b *Book) Invoice(ctx context.Context, tenant string, month Month) (*Document, error) {
	d, err := b.invoice(ctx, tenant, month)
	if err != nil {
		return nil, fmt.Errorf("cannot make invoice of %s for %s: %w", tenant, month, err)
	}
	return d, nil
}

func (b *Book) invoice(ctx context.Context, tenant string, month Month) (*Document, error) {
	for {
		if d, err := b.store.load(ctx, tenant, month); d != nil || err != nil {
			return d, err
		}
		a, err := b.account(ctx, tenant)
		if err != nil {
			return nil, err
		}
		if err := a.asked(month); err != nil {
			return nil, err
		}
		next := a.firstOpen()
		if month.Before(next) {
			continue // another process has closed it since the look above
		}
		if next.Before(month) && !a.over(next) {
			next = month // a draft before it is still open; its adjustments are there
		}
		d, months, err := b.draft(ctx, a, next)
		if err != nil || !a.over(next) {
			return d, err
		}
		if err := d.close(a.now); err != nil {
			return nil, err
		}
		states, err := b.states(ctx, d, months)
		if err != nil {
			return nil, err
		}
		// Whoever stored it, the next round reads what is stored. Each month is stored
		// as soon as it is closed: a call that ends early has not worked for nothing.
		if err := b.store.add(ctx, d, states, a.known()); err != nil {
			return nil, err
		}
	}
}

// account is what is known of a tenant before its events are read.
type account struct {
	tenant           string
	created, deleted time.Time
	closed           []*Document // in the order of months
	now              time.Time
}

func (b *Book) account(ctx context.Context, tenant string) (*account, error) {
	a := &account{tenant: tenant, now: b.Now().UTC().Truncate(time.Microsecond)}
	var err error
	if a.created, a.deleted, err = b.Tenants.Lifetime(ctx, tenant); err != nil {
		return nil, err
	}
	a.closed, err = b.store.all(ctx, tenant)
	return a, err
}

// asked refuses months that have no invoice.
func (a *account) asked(m Month) error {
	first := MonthOf(a.created)
	switch {
	case m.Start().After(a.now):
		return fmt.Errorf("it %w; the latest is %s", ErrNotBegun, MonthOf(a.now))
	case m.Before(first):
		return fmt.Errorf("it %w; the first is %s", ErrNoTenantYet, first)
	}
	return nil
}

// firstOpen is the first month that has no closed invoice. Months are closed in
// their order, so that what comes late for a closed one has one place to go.
func (a *account) firstOpen() Month {
	m := MonthOf(a.created)
	for _, d := range a.closed {
		if d.Month == m {
			m = m.Next()
		}
	}
	return m
}

// known is the last closed month, the zero Month if there is none, and how many
// are closed.
func (a *account) known() known {
	k := known{n: len(a.closed)}
	if k.n > 0 {
		k.last = a.closed[k.n-1].Month
	}
	return k
}

// over reports whether a month can be closed.
func (a *account) over(m Month) bool { return !a.now.Before(m.End().Add(Grace)) }

// settle is how much earlier than now the watermark of a closed month lies: by
// then nothing that is still being taken in, by a clock that differs from ours,
// can appear before it.
const settle = 10 * time.Minute

// watermark is now, or a little before it for a month that will be closed; or
// what an earlier invoice has counted up to already, in case the clock went
// back: what was adjusted once must stay in sight.
func (a *account) watermark(m Month) time.Time {
	w := a.now
	if a.over(m) {
		w = w.Add(-settle)
	}
	for _, d := range a.closed {
		if d.Watermark.After(w) {
			w = d.Watermark
		}
	}
	return w
}

// draft computes the invoice for a month as of now, and gives what was read for
// it. What came late for closed months goes to the first open one.
func (b *Book) draft(ctx context.Context, a *account, month Month) (*Document, map[Month]*monthReading, error) {
	watermark := a.watermark(month)
	from, err := b.basis(ctx, a, month, watermark)
	if err != nil {
		return nil, nil, err
	}
	months, err := read(ctx, b.Events, a.tenant, from.state, from.first, month, watermark)
	if err != nil {
		return nil, nil, err
	}
	d, err := b.document(ctx, a, month, watermark, months)
	return d, months, err
}

func (b *Book) document(ctx context.Context, a *account, month Month, watermark time.Time, months map[Month]*monthReading) (*Document, error) {
	plan := b.Plan(a.tenant)
	c, err := price(plan, month, months[month].usage)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Tenant: a.tenant, Month: month, State: Draft, Closes: month.End().Add(Grace), Watermark: watermark,
		Events: months[month].events, SHA256: months[month].digest, Inference: inference,
		Plan: plan, Lines: c.lines, Usage: c.usage, Allowance: c.allowance, Adjustments: []Adjustment{},
	}
	if a.deleted.IsZero() || a.deleted.After(month.Start()) {
		d.FlatFee = plan.FlatFee
	}
	if month == a.firstOpen() {
		if d.Adjustments, err = b.adjustments(ctx, a, months); err != nil {
			return nil, err
		}
	}
	return d, d.sum()
}
