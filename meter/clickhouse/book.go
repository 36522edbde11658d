package clickhouse

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
)

// book is a kind of row and the table that it goes to.
type book struct {
	name string           // of the table
	at   string           // its column with the time
	make func() meter.Row // an empty row
	when func(meter.Row) time.Time
}

// books are all of them, in the order in which a segment holds them.
var books = []book{
	{"requests", "started_at", func() meter.Row { return &meter.Record{} }, func(r meter.Row) time.Time { return r.(*meter.Record).Start }},     //nolint:forcetypeassert // make's
	{"unseals", "at", func() meter.Row { return &meter.Unseal{} }, func(r meter.Row) time.Time { return r.(*meter.Unseal).At }},                 //nolint:forcetypeassert // make's
	{"memory_events", "at", func() meter.Row { return &meter.MemoryEvent{} }, func(r meter.Row) time.Time { return r.(*meter.MemoryEvent).At }}, //nolint:forcetypeassert // make's
}

func bookOf(name string) book {
	for _, b := range books {
		if b.name == name {
			return b
		}
	}
	panic("BUG: no book " + name)
}

// columns are the book's, and those that say which segment a row came in.
func (b book) columns() columns {
	return append(columnsOf(b.make()),
		column{"gateway", "LowCardinality(String)", "", newNames()},
		column{"epoch", "UInt64", "CODEC(T64, ZSTD(1))", new(proto.ColUInt64)},
		column{"seq", "UInt64", "CODEC(T64, ZSTD(1))", new(proto.ColUInt64)})
}

// encode appends rows as one Native block to dst, by way of the book's columns,
// which are empty. The same rows give the same bytes.
func (b book) encode(dst *proto.Buffer, c columns, id segmentID, rows []meter.Row, pace *pace.Pace) error {
	gateway := id.Gateway.String()
	a := &adder{columns: c}
	for i, r := range rows {
		pace.Row(i)
		a.at = 0
		r.Columns(a)
		a.Name("", &gateway)
		a.next().(*proto.ColUInt64).Append(id.Epoch) //nolint:forcetypeassert // see columns
		a.next().(*proto.ColUInt64).Append(id.Seq)   //nolint:forcetypeassert // see columns
	}
	return c.encode(dst, len(rows), pace)
}

// decode gives the rows of a block.
func (b book) decode(native []byte) ([]meter.Row, error) {
	c := b.columns()
	n, err := c.decode(native)
	if err != nil {
		return nil, err
	}
	rows := make([]meter.Row, n)
	for i := range rows {
		rows[i] = b.make()
		rows[i].Columns(&getter{columns: c, row: i})
	}
	return rows, nil
}
