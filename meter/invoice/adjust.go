package invoice

import (
	"context"
	"fmt"
)

// adjustments are the differences between what closed months were charged and
// what they would be charged by the events that are known now.
func (b *Book) adjustments(ctx context.Context, a *account, months map[Month]*monthReading) ([]Adjustment, error) {
	all := []Adjustment{}
	for _, d := range a.closed {
		month := months[d.Month]
		if month == nil {
			continue // nothing came late for it, or it is after the month that is computed
		}
		adjustment, err := b.adjustment(ctx, a, d, month)
		if err != nil {
			return nil, fmt.Errorf("adjustment of %s: %w", d.Month, err)
		}
		if !adjustment.zero() {
			all = append(all, adjustment)
		}
	}
	return all, nil
}

// adjustment is that of one closed month, zero for none.
func (b *Book) adjustment(ctx context.Context, a *account, d *Document, month *monthReading) (Adjustment, error) {
	invoiced, err := invoiced(a.closed, d)
	if err != nil {
		return Adjustment{}, err
	}
	change, err := adjust(d, invoiced, month.usage)
	if err != nil || change.zero() {
		return change, err
	}
	if change.Amount < 0 { // a credit is given for what came late, never for what was lost
		if err := b.unchanged(ctx, d); err != nil {
			return change, err
		}
	}
	change.Events, change.SHA256 = month.events, month.digest
	return change, nil
}

// invoiced is what the month of d was charged until now: by d itself, and by
// adjustments on later invoices.
func invoiced(closed []*Document, d *Document) (Charge, error) {
	sum := d.net()
	for _, later := range closed {
		for _, a := range later.Adjustments {
			if a.Month != d.Month {
				continue
			}
			var err error
			if sum, err = sum.plus(d.Month, a.Charge); err != nil {
				return sum, fmt.Errorf("sum of earlier ones %w", err)
			}
		}
	}
	return sum, nil
}

// adjust compares what was invoiced for the month of d with what follows from
// used, by the prices that stand on d.
func adjust(d *Document, invoiced Charge, used usage) (Adjustment, error) {
	a := Adjustment{Month: d.Month}
	c, err := price(d.Plan, d.Month, used)
	if err != nil {
		return a, err
	}
	if a.Charge, err = c.net().plus(d.Month, invoiced.negative(d.Month)); err != nil {
		return a, err
	}
	if a.Invoiced, err = invoiced.amount(); err != nil {
		return a, err
	}
	if a.Recomputed, err = c.net().amount(); err != nil {
		return a, err
	}
	a.Amount, err = a.amount()
	return a, err
}
