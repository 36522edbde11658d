package drain

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
)

// read gathers the next batch; nil when there is nothing new. more says that
// the ledger has rows beyond it.
func (d *Drain) read() (b *Batch, more bool, err error) {
	b = &Batch{Gateway: d.o.Journal.Identity(), Pace: pace.Pace{Hurry: d.hurry, Due: time.Now().Add(d.o.Interval)}}
	began := d.o.Journal.Began()
	var broken error
	err = d.o.Journal.Read(d.cursor, func(next ledger.Position, kind ledger.Kind, row []byte) bool {
		if next.File >= began.File {
			broken = d.settle(b)
		}
		if more = broken != nil || b.Rows() >= d.o.BatchRows; more {
			return false
		}
		b.Pace.Row(b.Rows())
		if broken = d.add(b, kind, row); broken == nil {
			d.cursor, b.Earlier = next, b.Earlier || next.File < began.File
		}
		more = broken != nil
		return !more
	})
	if err == nil && !more {
		broken = d.settle(b)
	}
	if b.Rows() == 0 { // requests that were opened: they are read again after a restart
		return nil, false, errors.Join(err, broken)
	}
	b.Checkpoint = Checkpoint{Next: d.cursor, Open: make([][]byte, 0, len(d.opens))}
	for _, row := range d.opens {
		b.Checkpoint.Open = append(b.Checkpoint.Open, bytes.Clone(row)) // the row is used again
	}
	return b, more, nil
}

// add takes a frame into the batch. An error means that it must be tried again.
func (d *Drain) add(b *Batch, kind ledger.Kind, row []byte) (err error) {
	switch kind {
	case meter.FrameOpen:
		var spare []byte
		spare, d.spareOpens = last(d.spareOpens)
		d.opens[meter.EventIDOf(row)] = append(spare[:0], row...)
	case meter.FrameRequest:
		if open, ok := d.opens[meter.EventIDOf(row)]; ok {
			delete(d.opens, meter.EventIDOf(row))
			d.spareOpens = append(d.spareOpens, open)
		}
		b.Requests, err = decoded(d, b.Requests, d.record(), row)
	case meter.FrameUnseal:
		b.Unseals, err = decoded(d, b.Unseals, &meter.Unseal{}, row)
	case meter.FrameMemory:
		b.Memory, err = decoded(d, b.Memory, &meter.MemoryEvent{}, row)
	default:
		err = fmt.Errorf("frame of kind %d: %w", kind, meter.ErrUnreadable)
	}
	if err != nil {
		return d.setAside(row)
	}
	return nil
}

// record gives an empty record.
func (d *Drain) record() (r *meter.Record) {
	if r, d.spareRows = last(d.spareRows); r == nil {
		return &meter.Record{}
	}
	*r = meter.Record{}
	return r
}

// last takes the last one out; the zero value if there is none.
func last[T any](all []T) (one T, rest []T) {
	if n := len(all) - 1; n >= 0 {
		return all[n], all[:n]
	}
	return one, all
}

// decoded appends a row to those of its kind.
func decoded[R meter.Row](d *Drain, rows []R, r R, row []byte) ([]R, error) {
	if err := meter.Decode(row, r); err != nil {
		return rows, err
	}
	d.print(r)
	return append(rows, r), nil
}

// setAside keeps a row that this program cannot read.
func (d *Drain) setAside(row []byte) error {
	r := quarantine.Row{At: time.Now().UTC(), Book: quarantine.BookUnknown, EventID: meter.EventIDOf(row), Reason: "cannot be read by this program", Encoded: bytes.Clone(row)}
	if err := d.o.Quarantine.Add(r); err != nil {
		return err
	}
	d.o.Log.Error().Stringer("event_id", r.EventID).Msg("a record could not be read and was set aside")
	return nil
}

// settle turns what dead processes have left open into rows, once: everything
// they have written was read.
func (d *Drain) settle(b *Batch) error {
	if d.settled {
		return nil
	}
	for id, row := range d.opens {
		r := &meter.Record{}
		if err := meter.Decode(row, r); err != nil {
			if err := d.setAside(row); err != nil {
				return err
			}
		} else {
			r.Interrupt()
			d.print(r)
			b.Requests, b.Earlier = append(b.Requests, r), true
		}
		delete(d.opens, id)
	}
	d.settled = true
	return nil
}

// print writes a row's line, if lines are wanted.
func (d *Drain) print(r meter.Row) {
	if d.shown() {
		d.lines.print(r, time.Now())
	}
}

func (d *Drain) shown() bool { return d.lines != nil && (d.o.Shown == nil || d.o.Shown()) }
