package main

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/rs/zerolog"
)

// logDelay is how long a line may wait for others before it is written: a
// system call for each line would be a tenth of a request's cost.
const logDelay = 100 * time.Millisecond

// newLog makes the operator's log: JSON lines. Close writes what waits.
func newLog(w io.Writer, level string) (*zerolog.Logger, *lineWriter, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot use log level: %w", err)
	}
	zerolog.TimeFieldFormat = zerolog.TimeFormatUnixMs
	lines := newLineWriter(w)
	log := zerolog.New(lines).Level(l).With().Timestamp().Logger()
	return &log, lines, nil
}

// lineWriter gathers lines and writes them together, at the latest after
// logDelay; from warn on at once. One goroutine writes; Close ends it.
type lineWriter struct {
	mu   sync.Mutex
	buf  *bufio.Writer
	stop chan struct{}
	done sync.WaitGroup
}

func newLineWriter(w io.Writer) *lineWriter {
	l := &lineWriter{buf: bufio.NewWriterSize(w, 64<<10), stop: make(chan struct{})}
	l.done.Go(l.flushInTime)
	return l
}

// Write keeps a line.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(line)
}

// WriteLevel keeps a line, or writes it at once when it matters.
func (l *lineWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	n, err := l.Write(line)
	if level >= zerolog.WarnLevel && level != zerolog.NoLevel {
		l.flush()
	}
	return n, err
}

// Close writes what waits.
func (l *lineWriter) Close() {
	close(l.stop)
	l.done.Wait()
	l.flush()
}

func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.buf.Flush() // a log that can not be written has nowhere to say so
}

func (l *lineWriter) flushInTime() {
	defer crash.Exit()
	tick := time.NewTicker(logDelay)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.flush()
		}
	}
}
