// Package ledger is an append-only log of checksummed frames in a directory:
// the durable local truth from which records are sent on.
//
// A frame is in the operating system's hands when Append returns, so it
// outlives the process, whatever ends it. Against loss of power, frames are
// flushed together by a goroutine, a few milliseconds later; Options say
// whether. Files are mapped and their disk space is taken before they are
// written, so that a full disk is an answer at admission (Reserve) and not a
// failure in the middle.
//
// What is found damaged is copied aside and named, and everything around it is
// read; only a torn end, which a crash explains, is cut. The package knows
// nothing of what a frame holds. One process can have a directory open.
package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ownkey/ownkey/internal/durable"
)

// Kind says what a frame holds; it is the caller's.
type Kind uint8

// Position is a place between two frames. The zero value is the beginning.
type Position struct {
	File   uint64 // number of the file
	Offset int64  // in it
}

// Before reports whether p comes before q.
func (p Position) Before(q Position) bool {
	return p.File < q.File || p.File == q.File && p.Offset < q.Offset
}

// What can go wrong. Test with errors.Is.
var (
	// ErrFull: the ledger has reached its bound, or the disk has no room.
	ErrFull = errors.New("ledger is full")
	// ErrInUse: another process has the directory open.
	ErrInUse = errors.New("another process has the ledger open")
)

// maxPayload bounds a frame's payload.
const maxPayload = 8 << 10

// Options of a ledger. Dir and Alarm are required.
type Options struct {
	Dir string
	// MaxBytes bounds all files together. Zero means 1 GiB.
	MaxBytes int64
	// FileBytes is the size of one file. Zero means 8 MiB.
	FileBytes int64
	// SyncInterval is how long frames wait to be flushed to the disk together.
	// Zero means 5 ms; a negative one leaves it to the operating system.
	SyncInterval time.Duration
	// Alarm is told of damage and of failures of the disk. It must not block.
	Alarm func(Trouble)
}

// Trouble is something that an operator must hear of.
type Trouble struct {
	What   string // damaged, torn, disk
	File   string
	Offset int64
	Bytes  int64
	Kept   string // the copy of what could not be read
	Err    error
}

// Ledger is an open directory. It is safe for concurrent use.
type Ledger struct {
	o        Options
	identity Identity
	lock     *os.File

	reserved atomic.Int64 // bytes promised to work that has begun
	room     atomic.Int64 // bytes of the active file and the spare one
	used     atomic.Int64 // bytes of frames, in all files

	mu     sync.Mutex
	active *file
	spare  *file // prepared, so that a change of files is a change of pointers
	sealed []fileInfo
	dirty  []*file

	wake chan struct{} // something to flush, or a spare to prepare
	stop chan struct{}
	done sync.WaitGroup
}

// fileInfo is a file that is no longer written.
type fileInfo struct {
	number uint64
	bytes  int64
	path   string
}

// Open opens or creates the ledger in o.Dir: its identity's epoch grows, torn
// ends are cut, damage is copied to the folder quarantine and told to o.Alarm.
func Open(o Options) (*Ledger, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.FileBytes == 0 {
		o.FileBytes = 8 << 20
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = 5 * time.Millisecond
	}
	if o.FileBytes < headerBytes+int64(frameBytes(maxPayload)) || o.MaxBytes < 2*o.FileBytes {
		return nil, fmt.Errorf("cannot open ledger: files of %d bytes within %d", o.FileBytes, o.MaxBytes)
	}
	l := &Ledger{o: o, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open ledger %s: %w", o.Dir, err), l.unlock())
	}
	l.done.Go(l.work)
	return l, nil
}

func (l *Ledger) open() (err error) {
	if err := os.MkdirAll(filepath.Join(l.o.Dir, "quarantine"), 0o700); err != nil {
		return err
	}
	if l.lock, err = lockDir(l.o.Dir); err != nil {
		return err
	}
	if l.identity, err = nextIdentity(l.o.Dir); err != nil {
		return err
	}
	next, err := l.recover()
	if err != nil {
		return err
	}
	if l.active, err = createFile(l.sparePath(), l.o.FileBytes); err != nil {
		return err
	}
	if err := l.active.begin(l.o.Dir, next, l.identity); err != nil {
		return errors.Join(err, l.active.remove())
	}
	if l.spare, err = createFile(l.sparePath(), l.o.FileBytes); err != nil {
		return errors.Join(err, l.active.remove())
	}
	l.measure()
	return durable.SyncDir(l.o.Dir)
}

func (l *Ledger) sparePath() string { return filepath.Join(l.o.Dir, spareName) }

// Identity names this ledger and this opening of it.
func (l *Ledger) Identity() Identity { return l.identity }

// Reserve takes room for frames whose payloads have up to n bytes together,
// before the work begins that they will tell of. ErrFull means that the work
// must not begin. What is reserved is given back with Release, also when it was
// used. It takes no lock.
func (l *Ledger) Reserve(n int) error {
	held := l.reserved.Add(reservation(n))
	if held <= l.room.Load()-int64(frameBytes(maxPayload)) && l.used.Load()+held <= l.o.MaxBytes {
		return nil
	}
	l.reserved.Add(-reservation(n))
	l.poke()
	return ErrFull
}

// Release gives back what Reserve took.
func (l *Ledger) Release(n int) { l.reserved.Add(-reservation(n)) }

// reservation counts payloads with the heads of the few frames they come in.
// What a change of files wastes is less than the largest frame, which Reserve
// leaves aside.
func reservation(n int) int64 { return int64(n + 4*(frameHead+frameAlign)) }

// Append adds a frame. It allocates nothing. payload stays the caller's. An
// error means that the frame is not there; with a reservation it is the disk's.
func (l *Ledger) Append(kind Kind, payload []byte) error {
	if kind == 0 || len(payload) > maxPayload {
		return fmt.Errorf("BUG: frame of kind %d with %d bytes", kind, len(payload))
	}
	need := int64(frameBytes(len(payload)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active.room() < need {
		if err := l.next(); err != nil {
			return err
		}
	}
	l.active.append(kind, payload)
	l.used.Add(need)
	l.room.Add(-need)
	if !l.active.dirty {
		l.active.dirty = true
		l.dirty = append(l.dirty, l.active)
		l.poke()
	}
	return nil
}

// next makes the spare file the active one, or a new one when the worker was
// too slow. In a directory that can not be written the spare keeps its name for
// now, and there will be no other. mu is held.
func (l *Ledger) next() error {
	if err := l.active.rename(l.o.Dir); err != nil {
		return errors.Join(ErrFull, err)
	}
	if l.spare == nil {
		late, err := createFile(filePath(l.o.Dir, l.active.number+1), l.o.FileBytes)
		if err != nil {
			return errors.Join(ErrFull, err)
		}
		l.spare = late
	}
	if err := l.spare.begin(l.o.Dir, l.active.number+1, l.identity); err != nil {
		l.o.Alarm(Trouble{What: "disk", File: l.spare.path, Err: err})
	}
	l.sealed = append(l.sealed, l.active.info())
	l.active.full = true
	if !l.active.dirty { // for the worker to close it
		l.active.dirty = true
		l.dirty = append(l.dirty, l.active)
	}
	l.active, l.spare = l.spare, nil
	l.measure()
	l.poke()
	return nil
}

// measure counts the room anew. mu is held.
func (l *Ledger) measure() {
	room := l.active.room()
	if l.spare != nil {
		room += l.spare.room()
	}
	l.room.Store(room)
}

// poke wakes the worker.
func (l *Ledger) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Bytes is how much the ledger holds, and how much it may.
func (l *Ledger) Bytes() (held, most int64) {
	return l.used.Load(), l.o.MaxBytes
}

// End is where the next frame will go.
func (l *Ledger) End() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Position{l.active.number, l.active.used()}
}

// Trim deletes the files that end before p: everything in them has been sent
// on. It is for one goroutine.
func (l *Ledger) Trim(p Position) error {
	for {
		f, ok := l.oldestBefore(p)
		if !ok {
			return nil
		}
		// Not under the lock: it takes milliseconds, and every request appends.
		if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot trim ledger: %w", err)
		}
		l.used.Add(-f.bytes)
		l.mu.Lock()
		l.sealed = l.sealed[1:] // others are put behind it meanwhile
		l.mu.Unlock()
	}
}

func (l *Ledger) oldestBefore(p Position) (fileInfo, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sealed) == 0 || l.sealed[0].number >= p.File {
		return fileInfo{}, false
	}
	return l.sealed[0], true
}

// Close flushes everything and closes the directory.
func (l *Ledger) Close() error {
	close(l.stop)
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active.full = true
	errs := []error{l.active.sync(), l.active.close()}
	if l.spare != nil {
		errs = append(errs, l.spare.remove())
	}
	if err := errors.Join(append(errs, l.unlock())...); err != nil {
		return fmt.Errorf("cannot close ledger: %w", err)
	}
	return nil
}
