package meter

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
)

// A row in the ledger is a byte with the version of its columns, and then the
// columns: strings behind their length, numbers as varints. A column that is
// added goes to the end of Columns: an older row then ends before it, and it
// keeps its zero.
//
// Every row passes here, on its way into the ledger and out of it: so this is
// where numbers and times are put between their bounds (bounds.go), also those
// that an older program has written without.
const rowVersion = 1

// errRow is a row that this program can not read.
var errRow = errors.New("row of an unknown version, or damaged")

// maxRowBytes is more than any row takes. The strings of a request are: ids of
// up to 64 bytes, and five identifiers of clients and providers of up to 128.
const maxRowBytes = 1536

// encoder writes a row. It is for one goroutine at a time.
type encoder struct{ b []byte }

func (e *encoder) encode(dst []byte, r Row) []byte {
	e.b = dst
	e.b = append(e.b, rowVersion)
	r.Columns(e)
	return e.b
}

func (e *encoder) number(n int64) { e.b = binary.AppendVarint(e.b, n) }

func (e *encoder) UUID(_ string, v *uuid.UUID) { e.b = append(e.b, v[:]...) }

func (e *encoder) Time(_ string, v *time.Time) {
	if v.IsZero() {
		e.number(0)
		return
	}
	e.number(boundMicroseconds(v.UnixMicro()))
}

func (e *encoder) Name(_ string, v *string) {
	e.b = binary.AppendUvarint(e.b, uint64(len(*v)))
	e.b = append(e.b, *v...)
}

func (e *encoder) ID(name string, v *string)           { e.Name(name, v) }
func (e *encoder) Enum(_ string, v *uint8, _ []string) { e.b = append(e.b, *v) }
func (e *encoder) Number(_ string, v *int64)           { e.number(Bound(*v)) }
func (e *encoder) Duration(_ string, v *time.Duration) { e.number(boundDuration(v.Microseconds())) }

func (e *encoder) Count(_ string, v *Count) {
	e.Flag("", &v.Set)
	if v.Set {
		e.number(Bound(v.N))
	}
}

func (e *encoder) Flag(_ string, v *bool) {
	b := byte(0)
	if *v {
		b = 1
	}
	e.b = append(e.b, b)
}

// decoder reads what encoder wrote. After the first failure it does nothing.
type decoder struct {
	b    []byte
	text string // the whole row: strings are parts of this one copy
	err  error
}

// decode fills r from a row's encoding. r must be zero; its strings are copies.
func decode(b []byte, r Row) error {
	if len(b) == 0 || b[0] != rowVersion {
		return errRow
	}
	d := &decoder{b: b[1:], text: string(b)}
	r.Columns(d)
	if d.err == nil && len(d.b) > 0 {
		d.err = errRow
	}
	return d.err
}

// take gives the next n bytes; nil at the end of an older row, and after a
// failure.
func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) == 0 {
		return nil
	}
	if n > len(d.b) {
		d.err = errRow
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) number() int64 {
	if d.err != nil || len(d.b) == 0 {
		return 0
	}
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.err = errRow
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) UUID(_ string, v *uuid.UUID) { copy(v[:], d.take(len(v))) }

func (d *decoder) Time(_ string, v *time.Time) {
	if us := boundMicroseconds(d.number()); us != 0 {
		*v = time.UnixMicro(us).UTC()
	}
}

func (d *decoder) Name(_ string, v *string) {
	if d.err != nil || len(d.b) == 0 {
		return
	}
	size, n := binary.Uvarint(d.b)
	if n <= 0 || size > uint64(len(d.b)-n) { //nolint:gosec // n is at most the length
		d.err = errRow
		return
	}
	end := n + int(size) //nolint:gosec // bounded by the line above
	from := len(d.text) - len(d.b)
	*v = d.text[from+n : from+end]
	d.b = d.b[end:]
}

func (d *decoder) ID(name string, v *string) { d.Name(name, v) }

func (d *decoder) Enum(_ string, v *uint8, names []string) {
	b := d.take(1)
	if b == nil {
		return
	}
	if int(b[0]) >= len(names) {
		d.err = errRow
		return
	}
	*v = b[0]
}

func (d *decoder) Number(_ string, v *int64) { *v = Bound(d.number()) }

func (d *decoder) Count(_ string, v *Count) {
	if d.Flag("", &v.Set); v.Set {
		v.N = Bound(d.number())
	}
}

func (d *decoder) Duration(_ string, v *time.Duration) {
	*v = time.Duration(boundDuration(d.number())) * time.Microsecond
}

func (d *decoder) Flag(_ string, v *bool) {
	if b := d.take(1); b != nil {
		*v = b[0] != 0
	}
}
