// Package quarantine keeps rows that could not be stored: a row that a store
// refuses, and a row that this program cannot read. They wait in one file, so
// that the rows behind them go on, and an operator can see what they are.
package quarantine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/durable"
	"github.com/ownkey/ownkey/meter"
)

// FileName is the file's name in the ledger's folder quarantine.
const FileName = "rows.jsonl"

// MaxBytes is the default bound of the file: some 60,000 rows.
const MaxBytes = 64 << 20

// Row is one that was set aside. It has ids, times and counts, as every row.
type Row struct {
	At      time.Time `json:"set_aside_at"`
	Book    string    `json:"book"` // requests, decrypts, memory_events; unknown for a row that cannot be read
	EventID uuid.UUID `json:"event_id"`
	// Reason is ours, in fixed words, or a store's error code: never its message,
	// which may quote the row.
	Reason string `json:"reason"`
	// Encoded is the row as the ledger holds it.
	Encoded []byte `json:"row"`
}

// File is an open quarantine. It is safe for concurrent use.
type File struct {
	path string
	max  int64

	mu      sync.Mutex
	bytes   int64
	held    int64 // rows in the file
	added   int64 // rows since the start
	dropped int64 // rows that found no room, since the start
}

// Open opens the file at path, which is made with the first row. A torn last
// line, as a crash leaves it, is cut. maxBytes zero means [MaxBytes].
func Open(path string, maxBytes int64) (*File, error) {
	if maxBytes == 0 {
		maxBytes = MaxBytes
	}
	f := &File{path: path, max: maxBytes}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open quarantine: %w", err)
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	if whole < len(content) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return nil, fmt.Errorf("cannot cut the torn end of the quarantine: %w", err)
		}
	}
	f.bytes, f.held = int64(whole), int64(bytes.Count(content[:whole], []byte{'\n'}))
	return f, nil
}

// Add keeps rows durably. Rows that find no room are counted and dropped: the
// quarantine never stops what is behind it. An error means that none is kept.
func (f *File) Add(rows ...Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []byte
	kept := int64(0)
	for i := range rows {
		line, err := json.Marshal(&rows[i])
		if err != nil {
			return fmt.Errorf("cannot set row aside: %w", err)
		}
		if f.bytes+int64(len(lines)+len(line)) >= f.max {
			continue
		}
		lines, kept = append(append(lines, line...), '\n'), kept+1
	}
	if err := f.write(lines); err != nil {
		return fmt.Errorf("cannot set row aside: %w", err)
	}
	f.bytes += int64(len(lines))
	f.held += kept
	f.added += kept
	f.dropped += int64(len(rows)) - kept
	return nil
}

// write appends to the file and brings it to the disk. What a failed write has
// left is cut by the next one.
func (f *File) write(lines []byte) (err error) {
	if len(lines) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Truncate(f.bytes); err != nil {
		return err
	}
	if _, err := file.WriteAt(lines, f.bytes); err != nil {
		return err
	}
	if err := durable.Sync(file); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(f.path))
}

// State is what an operator watches.
type State struct {
	Held    int64 // rows in the file
	Added   int64 // rows set aside since the start
	Dropped int64 // rows that found no room in it, since the start
}

// State gives the present numbers.
func (f *File) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return State{f.held, f.added, f.dropped}
}

// Each calls each for every row in the file, in order.
func (f *File) Each(each func(*Row) error) error {
	f.mu.Lock()
	end := f.bytes
	f.mu.Unlock()
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read quarantine: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for at := int64(0); at < end && lines.Scan(); at += int64(len(lines.Bytes())) + 1 {
		var r Row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return errors.New("cannot read quarantine: a line is no row")
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read quarantine: %w", err)
	}
	return nil
}

// Decode gives the row; nil if this program cannot read it.
func (r *Row) Decode() meter.Row {
	var row meter.Row
	switch r.Book {
	case BookRequests:
		row = &meter.Record{}
	case BookDecrypts:
		row = &meter.Unseal{}
	case BookMemory:
		row = &meter.MemoryEvent{}
	default:
		return nil
	}
	if meter.Decode(r.Encoded, row) != nil {
		return nil
	}
	return row
}

// Books that rows are of.
const (
	BookRequests = "requests"
	BookDecrypts = "decrypts"
	BookMemory   = "memory_events"
	BookUnknown  = "unknown"
)

// Of makes a row to set aside.
func Of(r meter.Row, reason string, now time.Time) Row {
	book := BookRequests
	switch r.(type) {
	case *meter.Unseal:
		book = BookDecrypts
	case *meter.MemoryEvent:
		book = BookMemory
	}
	encoded := meter.Encode(nil, r)
	return Row{At: now.UTC(), Book: book, EventID: meter.EventIDOf(encoded), Reason: reason, Encoded: encoded}
}
