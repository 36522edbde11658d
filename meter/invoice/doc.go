// Package invoice computes what the platform charges a tenant for a month:
// memories stored, by the time they were held, and retrievals issued.
//
// It is computed from the book of memory events and from nothing else: a
// record of a request, with its counts and sizes, does not reach this package,
// so no number of a provider's can move an invoice. Amounts are whole
// millionths of a dollar; the arithmetic is exact up to one rounding in each
// line. docs/billing.md states the rules so that others can repeat them.
//
// It may import meter for the event, internal/db for the stored invoices, and
// nothing else of ours.
package invoice
