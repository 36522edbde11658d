package main

import (
	"context"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/sqlite"
)

// months have as many memory events each.
const months = 24

// invoiceOf measures the first invoice of a tenant, which closes all months but
// the last, and those after it.
func invoiceOf(b *bed, events int) error {
	return b.on("usage.db", func(database *db.DB) error {
		s, err := sqlite.Open(b.ctx, database)
		if err != nil {
			return err
		}
		end := begin.AddDate(0, months, 0)
		step := (end.Sub(begin) / time.Duration(events)).Truncate(time.Microsecond)
		rows := b.sink(s)
		for i := range events {
			at := begin.Add(time.Duration(i) * step)
			if err := rows.add(&meter.MemoryEvent{
				EventID: meter.NewEventID(), RequestID: meter.NewEventID(), At: at, TenantID: "acme", TokenID: "t", BucketID: "b",
				Op: []meter.MemoryOp{meter.MemoryStored, meter.MemoryRetrieved, meter.MemoryDeleted}[i%3], Count: 1, Bytes: 100,
			}); err != nil {
				return err
			}
		}
		if err := rows.flush(); err != nil {
			return err
		}
		book, err := invoice.New(b.ctx, invoice.Options{
			Events: s, Tenants: lifetime{}, DB: database,
			Plan: func(string) invoice.Plan {
				return invoice.Plan{Name: "p", MemoryMonths: 1_000_000, Retrievals: 500_000}
			},
			Now: func() time.Time { return end.Add(-time.Hour) },
		})
		if err != nil {
			return err
		}
		open := invoice.MonthOf(end.Add(-time.Hour))
		ask := func() error {
			_, err := book.Invoice(b.ctx, "acme", open)
			return err
		}
		return all(func() error {
			return b.measure("the first invoice, which closes 23 months", 1, ask)
		}, func() error {
			return b.measure("a draft", rounds, ask)
		}, func() error {
			return b.measure("a closed month", rounds, func() error {
				_, err := book.Invoice(b.ctx, "acme", invoice.MonthOf(begin))
				return err
			})
		}, b.onDisk)
	})
}

// lifetime is that of a tenant since the beginning.
type lifetime struct{}

func (lifetime) Lifetime(context.Context, string) (created, deleted time.Time, err error) {
	return begin, time.Time{}, nil
}
