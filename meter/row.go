package meter

import (
	"time"

	"github.com/google/uuid"
)

// Row is a line in one of the meter's books: a [Record], an [Unseal] or a
// [MemoryEvent].
type Row interface {
	// Columns calls v with every column, in the order of the book's schema.
	// It is the only list of them: what encodes, stores, prints or reads a row
	// is a Visitor, so that a column can not be in one place and not in another.
	Columns(v Visitor)
}

// Visitor takes the columns of a row. It may read or write what the pointers
// point to, and keeps none. There is a method for each type that a column can
// have; none of them can hold a text.
type Visitor interface {
	UUID(name string, v *uuid.UUID)
	// Time is in UTC, to the microsecond, and not after 9999; the zero time is 1970.
	Time(name string, v *time.Time)
	// Name is one of few: a tenant, a provider, a model.
	Name(name string, v *string)
	// ID is one of many.
	ID(name string, v *string)
	// Enum is one of names, by its index.
	Enum(name string, v *uint8, names []string)
	// Number is from zero to MaxNumber.
	Number(name string, v *int64)
	// Count may be unknown.
	Count(name string, v *Count)
	// Duration is kept in whole microseconds.
	Duration(name string, v *time.Duration)
	Flag(name string, v *bool)
}

// ledgerVisitor is a Visitor that also takes the columns which are in the ledger
// only.
type ledgerVisitor interface {
	Visitor
	ledger()
}

// LedgerColumns visits the columns of a row as the ledger holds it, and SQLite,
// which keeps it so. v is not one of this package.
func LedgerColumns(r Row, v Visitor) {
	r.Columns(v)
	if q, ok := r.(*Record); ok {
		q.ledgerColumns(v)
	}
}

func (*encoder) ledger() {}
func (*decoder) ledger() {}
func (line) ledger()     {}

// Count is a number that a provider may not have reported: unknown is not
// zero. What is written and read is from zero to MaxNumber.
type Count struct {
	N   int64
	Set bool
}
