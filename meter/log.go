package meter

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Log is an append-only file of records, one JSON object a line, in the order
// in which requests ended. A record is in the operating system's hands when
// Append returns, so it outlives the process; power loss may take the last
// ones. It is safe for concurrent use.
type Log struct {
	encoder zerolog.Logger
	mu      sync.Mutex
	file    *os.File
	pending []byte // lines that could not be written yet: of requests in flight, since new ones are refused meanwhile
	failing atomic.Bool
}

// OpenLog opens or creates the log at path, readable by its owner only.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open record log: %w", err)
	}
	l := &Log{file: f}
	l.encoder = zerolog.New((*appender)(l))
	return l, nil
}

// Append adds a record. An error means that the record is held in memory and
// will be written before the next one; until then Ready fails.
func (l *Log) Append(r *Record) error {
	l.encoder.Log().EmbedObject(r).Send()
	return l.state()
}

// Ready reports whether records can be written; after a failure it tries
// again.
func (l *Log) Ready() error {
	if !l.failing.Load() {
		return nil
	}
	_, _ = (*appender)(l).Write(nil)
	return l.state()
}

// Close writes what is pending and closes the file.
func (l *Log) Close() error {
	ready := l.Ready()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("cannot close record log: %w", err)
	}
	return ready
}

func (l *Log) state() error {
	if l.failing.Load() {
		return ErrNotWritten
	}
	return nil
}

// ErrNotWritten: records wait in memory for a log that cannot be written.
var ErrNotWritten = fmt.Errorf("cannot write record log: records are waiting")

// appender is the log as zerolog sees it: one Write per record.
type appender Log

// Write appends a line, behind those that are pending. It never fails towards
// zerolog, which would only print the failure.
func (a *appender) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest := line
	if len(a.pending) > 0 {
		a.pending = append(a.pending, line...)
		rest = a.pending
	}
	n, err := a.file.Write(rest)
	a.pending = append(a.pending[:0], rest[n:]...)
	a.failing.Store(err != nil)
	return len(line), nil
}
