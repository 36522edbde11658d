package invoice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
)

// Events is the book that invoices are computed from. Watermarks are times of
// the store's clock: what it had taken in by then.
type Events interface {
	// MemoryEvents calls each for every event of a tenant whose time is before
	// until and that the store had taken in by watermark: stored and deleted ones
	// from since on, or from the beginning when since is zero; retrieved ones from
	// `from` on; each event once (by EventID), ordered by time then EventID. Event
	// ids are ordered as their bytes are, which is as their texts are.
	MemoryEvents(ctx context.Context, tenant string, since, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error
	// EarliestLate gives the earliest time of a tenant's events that are before
	// until and were taken in after one watermark and by another; false for none.
	// It reads what was taken in between, not what was there before.
	EarliestLate(ctx context.Context, tenant string, until, after, watermark time.Time) (at time.Time, found bool, err error)
	// CountTaken counts a tenant's events, of any time, that were taken in by
	// watermark, each once.
	CountTaken(ctx context.Context, tenant string, watermark time.Time) (int64, error)
}

// quantity is what was used.
type quantity struct {
	memory     MemoryTime
	retrievals int64
}

// usage is what was used of each bucket in one month.
type usage map[string]quantity

// monthReading is what the book says about a month.
type monthReading struct {
	usage usage
	// events counts the rows that usage follows from, digest is over their
	// canonical form.
	events int64
	digest string
	end    *state // at its end
}

// read computes the months from first to last, as far as the store had taken
// events in by watermark. base is the state at first's beginning; nil if it must
// be found from the beginning of all.
func read(ctx context.Context, book Events, tenant string, base *state, first, last Month, watermark time.Time) (map[Month]*monthReading, error) {
	until := last.End()
	if watermark.Before(until) {
		until = watermark
	}
	t, err := newTally(tenant, base, first, last, until)
	if err != nil {
		return nil, err
	}
	err = book.MemoryEvents(ctx, tenant, t.since, first.Start(), until, watermark, t.add)
	switch {
	case t.err != nil:
		return nil, t.err
	case err != nil:
		return nil, unavailable(err)
	}
	return t.reading(), nil
}

// tally follows events in the order of time.
type tally struct {
	tenant string
	first  Month
	since  time.Time // of the first event; zero for the beginning of all
	until  time.Time
	// bounds are the starts of the months and the end of all, in Unix
	// milliseconds. Period i ends at bounds[i]; period 0 is before the first.
	bounds  []int64
	period  int // of the latest event
	buckets map[string]*bucket
	// memories are the rows of stored and deleted events so far. rows are those of
	// the present month: all of these, and its retrievals.
	memories, rows *rows
	months         []*monthReading // that are over; usage is still missing

	previousAt time.Time
	previousID uuid.UUID
	row        []byte // the row that is hashed, to be used again
	err        error  // what could not be counted
}

// bucket is one bucket's balance and what it has used so far.
type bucket struct {
	memories   int64 // held now
	counted    int64 // up to when their time is counted, Unix milliseconds
	period     int   // that counted lies in
	memory     []big.Int
	retrievals []int64
}

func newTally(tenant string, base *state, first, last Month, until time.Time) (*tally, error) {
	t := &tally{tenant: tenant, first: first, until: until, buckets: map[string]*bucket{}, memories: newRows()}
	for m := first; !last.Before(m); m = m.Next() {
		t.bounds = append(t.bounds, m.Start().UnixMilli())
	}
	t.bounds = append(t.bounds, until.UnixMilli())
	if base == nil {
		return t, nil
	}
	t.since = first.Start()
	for id, n := range base.Held {
		b := t.bucket(id)
		b.memories, b.counted = n, t.bounds[0]
	}
	var err error
	t.memories, err = base.rows()
	return t, err
}

// add counts an event. Events come in order, each once: what does not is
// refused, since the invoice would be wrong.
func (t *tally) add(e *meter.MemoryEvent) error {
	if err := t.check(e); err != nil {
		t.err = fmt.Errorf("%w: event %s %w", ErrEvents, e.EventID, err)
		return t.err
	}
	t.previousAt, t.previousID = e.At, e.EventID
	t.enter(e.At.UnixMilli())
	t.row = appendRow(t.row[:0], e)
	if e.Op != meter.MemoryRetrieved {
		t.memories.add(t.row)
	}
	if t.period > 0 {
		t.rows.add(t.row)
	}
	b := t.bucket(e.BucketID)
	b.advance(t.bounds, e.At.UnixMilli())
	if err := b.apply(e); err != nil {
		t.err = fmt.Errorf("count of bucket %s with event %s %w", e.BucketID, e.EventID, err)
	}
	return t.err
}

// enter goes on to the month of an event.
func (t *tally) enter(ms int64) {
	for t.period < len(t.bounds)-1 && ms >= t.bounds[t.period] {
		t.leave()
		t.rows = t.memories.clone()
		t.period++
	}
}

// leave ends the present month.
func (t *tally) leave() {
	if t.period > 0 {
		t.months = append(t.months, &monthReading{usage: usage{}, events: t.rows.n, digest: t.rows.digest(), end: t.state()})
	}
}

// state is what is held now.
func (t *tally) state() *state {
	s := &state{Rows: t.memories.n, Hash: t.memories.marshal(), Held: map[string]int64{}}
	for id, b := range t.buckets {
		if b.memories > 0 {
			s.Held[id] = b.memories
		}
	}
	return s
}

// apply changes the balance, or counts a retrieval in the period that the
// bucket is at.
func (b *bucket) apply(e *meter.MemoryEvent) (err error) {
	switch e.Op {
	case meter.MemoryStored:
		b.memories, err = addCount(b.memories, e.Count)
	case meter.MemoryDeleted:
		b.memories = max(0, b.memories-e.Count)
	case meter.MemoryRetrieved:
		b.retrievals[b.period], err = addCount(b.retrievals[b.period], e.Count)
	}
	return err
}

// check says what is wrong with an event, or with its place.
func (t *tally) check(e *meter.MemoryEvent) error {
	order := e.At.Compare(t.previousAt)
	if order == 0 {
		order = bytes.Compare(e.EventID[:], t.previousID[:])
	}
	switch {
	case e.TenantID != t.tenant:
		return fmt.Errorf("is of tenant %s", e.TenantID)
	case e.Count < 0:
		return fmt.Errorf("has a count of %d", e.Count)
	case e.Op > meter.MemoryRetrieved:
		return fmt.Errorf("has an unknown operation, %d; use a newer program", e.Op)
	case order <= 0 && t.previousID != e.EventID:
		return fmt.Errorf("comes after %s, out of order", t.previousID)
	case order <= 0:
		return errors.New("comes twice")
	case e.At.Before(t.since):
		return fmt.Errorf("is of %s, before the time that was asked for", e.At.UTC().Format(time.RFC3339Nano))
	case !e.At.Before(t.until):
		return fmt.Errorf("is of %s, after the time that was asked for", e.At.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

func (t *tally) bucket(id string) *bucket {
	b := t.buckets[id]
	if b == nil {
		n := len(t.bounds)
		b = &bucket{memory: make([]big.Int, n), retrievals: make([]int64, n)}
		t.buckets[id] = b
	}
	return b
}

// advance counts the time of the memories held up to ms, month by month. A
// retrieval at ms belongs to the period that it ends in.
func (b *bucket) advance(bounds []int64, ms int64) {
	for {
		end := min(ms, bounds[b.period])
		if b.memories > 0 && end > b.counted {
			held := new(big.Int).Mul(big.NewInt(b.memories), big.NewInt(end-b.counted))
			b.memory[b.period].Add(&b.memory[b.period], held)
		}
		b.counted = end
		if ms < bounds[b.period] || b.period == len(bounds)-1 {
			return
		}
		b.period++
	}
}

// reading ends the tally. A bucket that used nothing in a month is not in it.
func (t *tally) reading() map[Month]*monthReading {
	end := t.bounds[len(t.bounds)-1]
	t.enter(end)
	t.leave()
	months, month := map[Month]*monthReading{}, t.first
	for i, r := range t.months {
		for id, b := range t.buckets {
			b.advance(t.bounds, end)
			q := quantity{MemoryTime{&b.memory[i+1]}, b.retrievals[i+1]}
			if q.memory.ms.Sign() > 0 || q.retrievals > 0 {
				r.usage[id] = q
			}
		}
		months[month] = r
		month = month.Next()
	}
	return months
}

var escapes = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`)

// appendRow appends the canonical form of an event's row, as docs/billing.md
// states it.
func appendRow(to []byte, e *meter.MemoryEvent) []byte {
	to = append(to, e.EventID.String()...)
	to = strconv.AppendInt(append(to, '\t'), e.At.UnixMicro(), 10)
	for _, id := range []string{e.TenantID, e.TokenID, e.BucketID, e.RequestID.String(), e.Op.String()} {
		to = append(append(to, '\t'), escapes.Replace(id)...)
	}
	to = strconv.AppendInt(append(to, '\t'), e.Count, 10)
	to = strconv.AppendInt(append(to, '\t'), e.Bytes, 10)
	return append(to, '\n')
}
