package sqlite

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/evidence"
)

// shape collects the columns of a row: what they are called, and what they hold.
type shape []evidence.Column

func shapeOf(r meter.Row) shape {
	var s shape
	r.Columns(&s)
	return s
}

func columnsOf(r meter.Row) []string {
	shape := shapeOf(r)
	names := make([]string, len(shape))
	for i, c := range shape {
		names[i] = c.Name
	}
	return names
}

func (s *shape) add(name, kind string) { *s = append(*s, evidence.Column{Name: name, Type: kind}) }

func (s *shape) UUID(name string, _ *uuid.UUID) { s.add(name, "id, 16 bytes") }
func (s *shape) Time(name string, _ *time.Time) { s.add(name, "time") }
func (s *shape) Name(name string, _ *string)    { s.add(name, "name") }
func (s *shape) ID(name string, _ *string)      { s.add(name, "id") }
func (s *shape) Enum(name string, _ *uint8, options []string) {
	s.add(name, "one of "+strings.Join(options, ", "))
}
func (s *shape) Number(name string, _ *int64)           { s.add(name, "number") }
func (s *shape) Count(name string, _ *meter.Count)      { s.add(name, "number, or unknown") }
func (s *shape) Duration(name string, _ *time.Duration) { s.add(name, "microseconds") }
func (s *shape) Flag(name string, _ *bool)              { s.add(name, "yes or no") }

// arguments collects a row's values as SQLite takes them.
type arguments struct{ all []any }

func (a *arguments) add(v any) { a.all = append(a.all, v) }

func (a *arguments) UUID(_ string, v *uuid.UUID)               { a.add(v[:]) }
func (a *arguments) Time(_ string, v *time.Time)               { a.add(v.UnixMicro()) }
func (a *arguments) Name(_ string, v *string)                  { a.add(*v) }
func (a *arguments) ID(_ string, v *string)                    { a.add(*v) }
func (a *arguments) Enum(_ string, v *uint8, options []string) { a.add(options[*v]) }
func (a *arguments) Number(_ string, v *int64)                 { a.add(*v) }
func (a *arguments) Duration(_ string, v *time.Duration)       { a.add(v.Microseconds()) }
func (a *arguments) Flag(_ string, v *bool)                    { a.add(*v) }

func (a *arguments) Count(_ string, v *meter.Count) {
	if v.Set {
		a.add(v.N)
	} else {
		a.add(nil)
	}
}

// destinations collects where a row's values go when it is read.
type destinations struct{ all []any }

func (d *destinations) add(f scan) { d.all = append(d.all, f) }

// scan puts a value that SQLite gave in its place.
type scan func(v any)

// Scan implements sql.Scanner.
func (s scan) Scan(v any) error {
	s(v)
	return nil
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}

func (d *destinations) UUID(_ string, to *uuid.UUID) {
	d.add(func(v any) {
		b, _ := v.([]byte)
		copy(to[:], b)
	})
}

func (d *destinations) Time(_ string, to *time.Time) {
	d.add(func(v any) { *to = time.UnixMicro(integer(v)).UTC() })
}
func (d *destinations) Name(_ string, to *string) { d.all = append(d.all, to) }
func (d *destinations) ID(_ string, to *string)   { d.all = append(d.all, to) }

func (d *destinations) Enum(_ string, to *uint8, options []string) {
	d.add(func(v any) {
		name, _ := v.(string)
		*to = uint8(max(0, slices.Index(options, name))) //nolint:gosec // a handful
	})
}
func (d *destinations) Number(_ string, to *int64) { d.all = append(d.all, to) }

func (d *destinations) Count(_ string, to *meter.Count) {
	d.add(func(v any) { to.N, to.Set = integer(v), v != nil })
}

func (d *destinations) Duration(_ string, to *time.Duration) {
	d.add(func(v any) { *to = time.Duration(integer(v)) * time.Microsecond })
}
func (d *destinations) Flag(_ string, to *bool) { d.add(func(v any) { *to = integer(v) != 0 }) }

// scanRow reads the present row of rows, whose columns are r's.
func scanRow(rows *sql.Rows, r meter.Row) error {
	var to destinations
	r.Columns(&to)
	return rows.Scan(to.all...)
}
