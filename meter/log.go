package meter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// windowBytes is how much of the file is mapped, and so reserved on disk,
// ahead of what is written.
const windowBytes = 4 << 20

// ErrNotWritten says that records wait in memory because the disk takes no
// more.
var ErrNotWritten = errors.New("cannot write record log: records are waiting")

// Log is an append-only file of records, one JSON object a line: requests, in
// the order in which they ended, and unseals. It is written through a shared mapping: a record is
// in the operating system's hands when Append returns, so it outlives the
// process, and the path of a request has no system call (a write cost 2 to
// 3 µs of 22, benchmarks/NOTES.md). Power loss may take the last ones. While
// the log is open the file ends in zeros; opening it again cuts them off.
//
// It is safe for concurrent use. One process can have it open.
type Log struct {
	encoder zerolog.Logger // of requests: to the file, and to the operator
	unseals zerolog.Logger // to the file

	mu      sync.Mutex
	file    *os.File
	base    int64  // where the window begins in the file
	window  []byte // mapped
	used    int    // bytes of the window
	pending []byte // lines for which there was no room: of requests in flight, since new ones are refused meanwhile
	failing atomic.Bool
}

// OpenLog opens or creates the log at path, readable by its owner only. Each
// line also goes to copyTo, the operator's log, unless it is nil; what happens
// to it there is not the log's concern.
func OpenLog(path string, copyTo io.Writer) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open record log: %w", err)
	}
	l := &Log{file: f}
	l.unseals = zerolog.New((*appender)(l))
	l.encoder = l.unseals
	if copyTo != nil {
		l.encoder = zerolog.New(io.MultiWriter((*appender)(l), copyTo))
	}
	if err := l.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open record log %s: %w", path, err), f.Close())
	}
	return l, nil
}

func (l *Log) begin() error {
	if err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another process has it open: %w", err)
	}
	end, err := lastLineEnd(l.file)
	if err != nil {
		return err
	}
	return l.mapFrom(end)
}

// lastLineEnd finds where the last whole line ends: behind it are the zeros of
// a window, or the beginning of a line that a crash cut short.
func lastLineEnd(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	for end > 0 {
		n := min(end, int64(len(block)))
		if _, err := f.ReadAt(block[:n], end-n); err != nil {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if block[i] == '\n' {
				return end - n + i + 1, nil
			}
		}
		end -= n
	}
	return 0, nil
}

// mapFrom moves the window so that the next line goes to offset at. The disk
// space is taken first: a mapping of a file that the disk can not hold would
// kill the process.
func (l *Log) mapFrom(at int64) error {
	base := at &^ int64(os.Getpagesize()-1)
	fd := int(l.file.Fd())
	if err := l.file.Truncate(at); err != nil { // cuts what is behind, as zeros must follow
		return err
	}
	if err := unix.Fallocate(fd, 0, base, windowBytes); err != nil {
		return err
	}
	window, err := unix.Mmap(fd, base, windowBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	old := l.window
	l.base, l.window, l.used = base, window, int(at-base)
	if old != nil {
		return unix.Munmap(old)
	}
	return nil
}

// Append adds a record. An error means that the record is held in memory and
// will be written before the next one; until then Ready fails.
func (l *Log) Append(r *Record) error {
	l.encoder.Info().EmbedObject(r).Msg(MessageRequest)
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

// Close writes what is pending, cuts the file to what it holds and closes it.
func (l *Log) Close() error {
	ready := l.Ready()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(unix.Munmap(l.window), l.file.Truncate(l.base+int64(l.used)), l.file.Sync(), l.file.Close())
	l.window = nil
	if err != nil {
		err = fmt.Errorf("cannot close record log: %w", err)
	}
	return errors.Join(ready, err)
}

func (l *Log) state() error {
	if l.failing.Load() {
		return ErrNotWritten
	}
	return nil
}

// appender is the log as zerolog sees it: one Write per record.
type appender Log

// Write appends a line, behind those that are pending. It never fails towards
// zerolog, which would only print the failure.
func (a *appender) Write(line []byte) (int, error) {
	l := (*Log)(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := line
	if len(l.pending) > 0 {
		l.pending = append(l.pending, line...)
		rest = l.pending
	}
	if len(rest) > len(l.window)-l.used {
		if err := l.mapFrom(l.base + int64(l.used)); err != nil || len(rest) > len(l.window)-l.used {
			if len(l.pending) == 0 {
				l.pending = append(l.pending, line...)
			}
			l.failing.Store(true)
			return len(line), nil
		}
	}
	l.used += copy(l.window[l.used:], rest)
	l.pending = l.pending[:0]
	l.failing.Store(false)
	return len(line), nil
}
