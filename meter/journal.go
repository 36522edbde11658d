package meter

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/fault"
	"github.com/ownkey/ownkey/meter/ledger"
)

// Kinds of frames. Their numbers are in the ledger.
const (
	// FrameOpen holds what is known of a request before its provider is asked.
	FrameOpen ledger.Kind = 1
	// FrameRequest holds a finished request. It takes the place of the frame
	// that opened it.
	FrameRequest ledger.Kind = 2
	// FrameUnseal holds an unseal.
	FrameUnseal ledger.Kind = 3
	// FrameMemory holds a memory event.
	FrameMemory ledger.Kind = 4
)

// requestBytes is the room that one request may need: it is opened and closed,
// may unseal, and may recall.
const requestBytes = 2*maxRowBytes + 1024

// ErrFull says that the ledger takes no more requests: it has reached its
// bound, or the disk has.
var ErrFull = ledger.ErrFull

// JournalOptions are a journal's. Dir and Alarm are required.
type JournalOptions struct {
	Dir string
	// MaxBytes bounds the ledger's files. Zero means 1 GiB.
	MaxBytes int64
	// SyncInterval is the ledger's.
	SyncInterval time.Duration
	// Alarm is told of damage and of failures of the disk. It must not block.
	Alarm func(ledger.Trouble)
}

// Journal writes rows to the ledger. A row is in the operating system's hands
// when the call returns, so it outlives the process; writing one allocates
// nothing. It is safe for concurrent use.
type Journal struct {
	ledger   *ledger.Ledger
	began    ledger.Position
	refused  atomic.Int64
	encoders sync.Pool
}

// OpenJournal opens or creates the ledger in o.Dir.
func OpenJournal(o JournalOptions) (*Journal, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	l, err := ledger.Open(ledger.Options{
		Dir: o.Dir, MaxBytes: o.MaxBytes, FileBytes: min(32<<20, max(1<<20, o.MaxBytes/16)&^4095), SyncInterval: o.SyncInterval, Alarm: o.Alarm,
	})
	if err != nil {
		return nil, err
	}
	j := &Journal{ledger: l, began: l.End()}
	j.encoders.New = func() any { return &encoder{b: make([]byte, 0, maxRowBytes)} }
	return j, nil
}

// Admit takes the room that one request's rows need. ErrFull means that the
// request must be refused before a provider is asked. Each Admit has its Leave.
func (j *Journal) Admit() error {
	err := j.ledger.Reserve(requestBytes)
	if err != nil {
		j.refused.Add(1)
	}
	return err
}

// Refused counts the calls of Admit that failed.
func (j *Journal) Refused() int64 { return j.refused.Load() }

// Leave gives back what Admit took, after the request's last row.
func (j *Journal) Leave() { j.ledger.Release(requestBytes) }

// Open adds what is known of a request whose provider is about to be asked. If
// the process dies before Close, that becomes the request's record.
func (j *Journal) Open(r *Record) error { return j.append(FrameOpen, r) }

// Close adds a finished request.
func (j *Journal) Close(r *Record) error {
	fault.At("meter.close") // of requests alone: a decrypt that is journaled meanwhile has a goroutine that nobody recovers
	return j.append(FrameRequest, r)
}

// Unseal adds an unseal that is about to be asked for.
func (j *Journal) Unseal(u *Unseal) error { return j.append(FrameUnseal, u) }

// Memory adds a memory event.
func (j *Journal) Memory(m *MemoryEvent) error { return j.append(FrameMemory, m) }

func (j *Journal) append(kind ledger.Kind, r Row) error {
	e := j.encoders.Get().(*encoder) //nolint:forcetypeassert // the pool's New
	err := j.ledger.Append(kind, e.encode(e.b[:0], r))
	j.encoders.Put(e)
	if err != nil {
		return fmt.Errorf("cannot append to ledger: %w", err)
	}
	return nil
}

// Ready is nil while a request could be admitted.
func (j *Journal) Ready() error {
	err := j.ledger.Reserve(requestBytes)
	if err == nil {
		j.Leave()
	}
	return err
}

// Identity names this gateway and this start of it.
func (j *Journal) Identity() ledger.Identity { return j.ledger.Identity() }

// Began is where the rows of this process begin. What is opened and not closed
// before it has lost its process.
func (j *Journal) Began() ledger.Position { return j.began }

// End is where the next row will go.
func (j *Journal) End() ledger.Position { return j.ledger.End() }

// Bytes is how much the ledger holds, and how much it may.
func (j *Journal) Bytes() (held, most int64) { return j.ledger.Bytes() }

// Read calls each for every frame from p on, until there is no more or each
// returns false. row is lent for the call; Decode reads it.
func (j *Journal) Read(p ledger.Position, each func(next ledger.Position, kind ledger.Kind, row []byte) bool) error {
	return j.ledger.Read(p, each)
}

// Trim forgets what comes before p, file by file.
func (j *Journal) Trim(p ledger.Position) error { return j.ledger.Trim(p) }

// Shut flushes and closes the ledger.
func (j *Journal) Shut() error { return j.ledger.Close() }

// NewEventID makes a UUIDv7 (RFC 9562): ids that sort by time.
func NewEventID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		panic("BUG: no random numbers: " + err.Error()) // crypto/rand never fails (Go 1.24 release notes)
	}
	return id
}

// Encode appends a row to dst, as a frame holds it.
func Encode(dst []byte, r Row) []byte { return (&encoder{}).encode(dst, r) }

// EventIDOf gives a row's event id, which is the first column of each. It is
// zero for a row that is not whole.
func EventIDOf(row []byte) (id uuid.UUID) {
	if len(row) > len(id) {
		copy(id[:], row[1:])
	}
	return id
}

// Decode fills r, which must be zero, from a frame's row. Its strings are
// copies.
func Decode(row []byte, r Row) error {
	if err := decode(row, r); err != nil {
		return errors.Join(ErrUnreadable, err)
	}
	return nil
}

// ErrUnreadable is a row that a newer program has written, or that is damaged.
var ErrUnreadable = errors.New("cannot read row")
