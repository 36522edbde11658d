package clickhouse

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
)

// column is one column of a table: what it is called, its type in SQL with its
// codec, and its values in ClickHouse's Native format.
type column struct {
	name  string
	kind  string // type in SQL
	codec string
	data  proto.Column
}

// columns are a block of rows. It is a meter.Visitor twice: as shape it learns
// what there is, as adder it takes a row.
type columns []column

// columnsOf gives the empty columns of a kind of row.
func columnsOf(r meter.Row) columns {
	var s shape
	r.Columns(&s)
	return columns(s)
}

// shape makes a column of each that it is called with. The codecs are those
// that took the least room (ClickHouse 26.7, measured with rows of a gateway).
type shape columns

func (s *shape) add(name, kind, codec string, data proto.Column) {
	*s = append(*s, column{name, kind, codec, data})
}

func (s *shape) UUID(name string, _ *uuid.UUID) { s.add(name, "UUID", "", new(proto.ColUUID)) }

func (s *shape) Time(name string, _ *time.Time) {
	s.add(name, "DateTime64(6, 'UTC')", "CODEC(Delta(8), ZSTD(1))", new(proto.ColDateTime64).WithPrecision(proto.PrecisionMicro).WithLocation(time.UTC))
}

func (s *shape) Name(name string, _ *string) {
	s.add(name, "LowCardinality(String)", "", newNames())
}

func (s *shape) ID(name string, _ *string) {
	s.add(name, "String", "CODEC(ZSTD(1))", new(proto.ColStr))
}

func (s *shape) Enum(name string, _ *uint8, names []string) {
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = fmt.Sprintf("'%s' = %d", n, i)
	}
	kind := "Enum8(" + strings.Join(values, ", ") + ")"
	data := new(proto.ColEnum)
	if err := data.Infer(proto.ColumnType(kind)); err != nil {
		panic("BUG: " + kind + ": " + err.Error())
	}
	s.add(name, kind, "", data)
}

func (s *shape) Number(name string, _ *int64) {
	s.add(name, "UInt64", "CODEC(T64, ZSTD(1))", new(proto.ColUInt64))
}

func (s *shape) Count(name string, _ *meter.Count) {
	s.add(name, "Nullable(UInt64)", "CODEC(ZSTD(1))", proto.NewColNullable[uint64](new(proto.ColUInt64)))
}

func (s *shape) Duration(name string, _ *time.Duration) { s.Number(name, nil) }

func (s *shape) Flag(name string, _ *bool) { s.add(name, "Bool", "", new(proto.ColBool)) }

// adder appends one row to columns.
type adder struct {
	columns columns
	at      int
}

func (a *adder) next() proto.Column {
	a.at++
	return a.columns[a.at-1].data
}

func (a *adder) UUID(_ string, v *uuid.UUID) { a.next().(*proto.ColUUID).Append(*v) }

func (a *adder) Time(_ string, v *time.Time) {
	a.next().(*proto.ColDateTime64).AppendRaw(proto.DateTime64(v.UnixMicro()))
}

func (a *adder) Name(_ string, v *string) { a.next().(*names).Append(*v) }
func (a *adder) ID(_ string, v *string)   { a.next().(*proto.ColStr).Append(*v) }

func (a *adder) Enum(_ string, v *uint8, names []string) {
	a.next().(*proto.ColEnum).Append(names[*v])
}

func (a *adder) Number(_ string, v *int64) {
	a.next().(*proto.ColUInt64).Append(uint64(max(0, *v)))
}

func (a *adder) Count(_ string, v *meter.Count) {
	value := proto.Null[uint64]()
	if v.Set {
		value = proto.NewNullable(uint64(max(0, v.N)))
	}
	a.next().(*proto.ColNullable[uint64]).Append(value)
}

func (a *adder) Duration(_ string, v *time.Duration) {
	us := v.Microseconds()
	a.Number("", &us)
}

func (a *adder) Flag(_ string, v *bool) { a.next().(*proto.ColBool).Append(*v) }

// getter reads one row of columns back.
type getter struct {
	columns columns
	row     int
	at      int
}

func (g *getter) next() proto.Column {
	g.at++
	return g.columns[g.at-1].data
}

func (g *getter) UUID(_ string, v *uuid.UUID) { *v = g.next().(*proto.ColUUID).Row(g.row) }

func (g *getter) Time(_ string, v *time.Time) {
	*v = g.next().(*proto.ColDateTime64).Row(g.row).UTC()
}

func (g *getter) Name(_ string, v *string) {
	*v = g.next().(*names).Row(g.row)
}
func (g *getter) ID(_ string, v *string) { *v = g.next().(*proto.ColStr).Row(g.row) }

func (g *getter) Enum(_ string, v *uint8, names []string) {
	value := g.next().(*proto.ColEnum).Row(g.row)
	for i, n := range names {
		if n == value {
			*v = uint8(i)
		}
	}
}

func (g *getter) Number(_ string, v *int64) {
	*v = int64(g.next().(*proto.ColUInt64).Row(g.row)) //nolint:gosec // it was an int64
}

func (g *getter) Count(_ string, v *meter.Count) {
	n := g.next().(*proto.ColNullable[uint64]).Row(g.row)
	*v = meter.Count{N: int64(n.Value), Set: n.Set} //nolint:gosec // it was an int64
}

func (g *getter) Duration(_ string, v *time.Duration) {
	var us int64
	g.Number("", &us)
	*v = time.Duration(us) * time.Microsecond
}

func (g *getter) Flag(_ string, v *bool) { *v = g.next().(*proto.ColBool).Row(g.row) }

// names are the columns' names, for a statement.
func (c columns) names() string {
	all := make([]string, len(c))
	for i := range c {
		all[i] = c[i].name
	}
	return strings.Join(all, ", ")
}

// encode appends one block in the Native format, as the HTTP interface takes it.
func (c columns) encode(dst *proto.Buffer, rows int, pace *pace.Pace) error {
	dst.PutInt(len(c))
	dst.PutInt(rows)
	for i := range c {
		pace.Step()
		if err := c[i].encode(dst, rows); err != nil {
			return fmt.Errorf("cannot encode rows: %w", err)
		}
	}
	return nil
}

// encode appends one column, as ch-go's Block.EncodeRawBlock does for all.
func (c column) encode(dst *proto.Buffer, rows int) error {
	if n := c.data.Rows(); n != rows {
		return fmt.Errorf("BUG: column %s has %d rows of %d", c.name, n, rows)
	}
	proto.InputColumn{Name: c.name, Data: c.data}.EncodeStart(dst, 0)
	if p, ok := c.data.(proto.Preparable); ok {
		if err := p.Prepare(); err != nil {
			return err
		}
	}
	if s, ok := c.data.(proto.StateEncoder); ok {
		s.EncodeState(dst)
	}
	c.data.EncodeColumn(dst)
	return nil
}

// decode reads one block into empty columns, and gives the number of its rows.
func (c columns) decode(native []byte) (int, error) {
	result := make(proto.Results, len(c))
	for i := range c {
		result[i] = proto.ResultColumn{Name: c[i].name, Data: c[i].data}
	}
	var b proto.Block
	if err := b.DecodeRawBlock(proto.NewReader(bytes.NewReader(native)), 0, result); err != nil {
		return 0, fmt.Errorf("cannot decode rows: %w", err)
	}
	return b.Rows, nil
}

// values are one row as the driver takes it.
func (c columns) values(row int) []any {
	all := make([]any, len(c))
	for i := range c {
		switch data := c[i].data.(type) {
		case *proto.ColUUID:
			all[i] = data.Row(row)
		case *proto.ColDateTime64:
			all[i] = data.Row(row)
		case *names:
			all[i] = data.Row(row)
		case *proto.ColStr:
			all[i] = data.Row(row)
		case *proto.ColEnum:
			all[i] = data.Row(row)
		case *proto.ColUInt64:
			all[i] = data.Row(row)
		case *proto.ColBool:
			all[i] = data.Row(row)
		case *proto.ColNullable[uint64]:
			if n := data.Row(row); n.Set {
				all[i] = n.Value
			}
		default:
			panic(fmt.Sprintf("BUG: column of type %T", data))
		}
	}
	return all
}
