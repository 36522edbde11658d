package main

import (
	"bytes"
	"fmt"
	"io"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/rs/zerolog"
)

const (
	// logDelay is how long a line may wait for others before it is written: a
	// system call for each line would be a tenth of a request's cost.
	logDelay = 100 * time.Millisecond
	// logBytes bounds the lines that wait for a log that is not read: those of
	// some 8,000 requests.
	logBytes = 8 << 20
	// logSpareBytes is the largest buffer that is kept to be used again.
	logSpareBytes = 1 << 20
	// logCloseTime bounds how long the end of the process waits for its log.
	logCloseTime = time.Second
)

// newLog makes the operator's log: JSON lines. Close writes what waits.
//
// From here on the process outlives its log: a pipe that was closed is an error
// of a write, where by default it would end the process (os/signal, "SIGPIPE").
func newLog(w io.Writer, level string) (*zerolog.Logger, *lineWriter, error) {
	if err := setLogLevel(level); err != nil {
		return nil, nil, err
	}
	signal.Ignore(syscall.SIGPIPE)
	zerolog.TimeFieldFormat = zerolog.TimeFormatUnixMs
	lines := newLineWriter(w, logBytes)
	log := zerolog.New(lines).Sample(&logLevel).With().Timestamp().Logger()
	return &log, lines, nil
}

// logLevel is what the operator's log shows. There is one log in a process. It is
// not zerolog's global level: rows are printed by zerolog, too.
var logLevel levelGate

// levelGate lets lines of a level and above pass, before they are made.
type levelGate struct{ least atomic.Int32 }

// Sample reports whether lines of a level pass.
func (g *levelGate) Sample(level zerolog.Level) bool { return int32(level) >= g.least.Load() }

// setLogLevel decides what the operator's log shows from now on.
func setLogLevel(level string) error {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		return fmt.Errorf("cannot use log level: %w", err)
	}
	logLevel.least.Store(int32(l))
	return nil
}

// lineWriter is a bounded queue of lines in front of a writer that may block
// for ever, such as a pipe that nobody reads. Write never waits: a line that
// finds no room is dropped and counted. One goroutine writes, all lines of
// logDelay together, and at once from warn on; Close ends it.
//
// It is not zerolog's diode, which overwrites the oldest lines, makes a system
// call of each, and whose Close waits for the writer.
type lineWriter struct {
	w       io.Writer
	max     int
	dropped atomic.Int64

	mu      sync.Mutex
	waiting []byte
	spare   []byte // used and to be used again
	unsaid  int64  // dropped, and not said in the log yet

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

func newLineWriter(w io.Writer, maxBytes int) *lineWriter {
	l := &lineWriter{w: w, max: maxBytes, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.work()
	return l
}

// Write keeps a line, or drops it.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(line) > l.max {
		l.dropped.Add(1)
		l.unsaid++
	} else {
		l.waiting = append(l.waiting, line...)
	}
	return len(line), nil
}

// WriteLevel keeps a line, and has it written at once when it matters.
func (l *lineWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	n, err := l.Write(line)
	if level >= zerolog.WarnLevel && level != zerolog.NoLevel {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return n, err
}

// Dropped counts the lines that found no room or could not be written.
func (l *lineWriter) Dropped() int64 { return l.dropped.Load() }

// Close writes what waits, for at most logCloseTime.
func (l *lineWriter) Close() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(logCloseTime):
	}
}

func (l *lineWriter) work() {
	defer crash.Exit()
	defer close(l.done)
	tick := time.NewTicker(logDelay)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-tick.C:
		case <-l.wake:
		}
		l.flush()
	}
}

// flush writes what waits, outside of the lock.
func (l *lineWriter) flush() {
	l.mu.Lock()
	lines, unsaid := l.waiting, l.unsaid
	l.waiting, l.spare, l.unsaid = l.spare[:0], nil, 0
	l.mu.Unlock()
	if len(lines) > 0 {
		if n, err := l.w.Write(lines); err != nil { // it has nowhere to say so but in the metric
			l.dropped.Add(int64(bytes.Count(lines[n:], []byte{'\n'})))
		}
	}
	if unsaid > 0 {
		log := zerolog.New(l.w)
		log.Error().Int64("time", time.Now().UnixMilli()).Int64("lines", unsaid).Msg("the log was not read fast enough; lines were dropped")
	}
	if cap(lines) <= logSpareBytes {
		l.mu.Lock()
		l.spare = lines[:0]
		l.mu.Unlock()
	}
}
