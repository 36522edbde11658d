package ledger

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/ownkey/ownkey/internal/durable"
	"golang.org/x/sys/unix"
)

// work flushes what was written, closes files that are full, and keeps a spare
// one ready.
func (l *Ledger) work() {
	defer crash.Exit()
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-l.wake:
		}
		l.prepare()               // first: without a spare file there is no room soon
		if l.o.SyncInterval > 0 { // let others come along
			select {
			case <-l.stop:
			case <-time.After(l.o.SyncInterval):
			}
		}
		l.flush()
	}
}

// flush brings the files on the list to the disk.
func (l *Ledger) flush() {
	l.mu.Lock()
	files := l.dirty
	l.dirty = nil
	full := make([]bool, len(files))
	for i, f := range files {
		f.dirty, full[i] = false, f.full
	}
	l.mu.Unlock()
	for i, f := range files {
		var err error
		switch {
		case full[i]: // and so on no list any more
			err = errors.Join(f.close(), durable.SyncDir(l.o.Dir))
		case l.o.SyncInterval > 0:
			err = f.sync()
		}
		if err != nil {
			l.o.Alarm(Trouble{What: "disk", File: f.path, Err: err})
		}
	}
}

// prepare makes a spare file. On a disk without room there is none, and Reserve
// refuses once the active file has no more room either.
func (l *Ledger) prepare() {
	l.mu.Lock()
	missing, err := l.spare == nil, l.active.rename(l.o.Dir)
	l.mu.Unlock()
	if !missing {
		return
	}
	if err != nil {
		l.o.Alarm(Trouble{What: "disk", File: l.sparePath(), Err: err})
		return
	}
	spare, err := createFile(l.sparePath(), l.o.FileBytes)
	if err != nil {
		l.o.Alarm(Trouble{What: "disk", File: l.sparePath(), Err: err})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = spare
	l.measure()
}

// Read calls each for every frame from p on, up to what was appended when it
// was called or until each returns false, with where the next frame begins.
// payload is lent for the call. Damage is passed over: Open has told of it.
func (l *Ledger) Read(p Position, each func(next Position, kind Kind, payload []byte) bool) error {
	l.mu.Lock()
	files := append([]fileInfo(nil), l.sealed...)
	files = append(files, l.active.info())
	l.mu.Unlock()
	for _, f := range files {
		if f.number < p.File {
			continue
		}
		from := int64(headerBytes)
		if f.number == p.File {
			from = max(from, p.Offset)
		}
		more, err := readFile(f, from, each)
		if err != nil {
			return fmt.Errorf("cannot read ledger: %w", err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// readFile maps a file, so that only what is looked at is read.
func readFile(f fileInfo, from int64, each func(next Position, kind Kind, payload []byte) bool) (more bool, err error) {
	if from >= f.bytes {
		return true, nil
	}
	handle, err := os.Open(f.path)
	if err != nil {
		return false, err
	}
	b, err := unix.Mmap(int(handle.Fd()), 0, int(f.bytes), unix.PROT_READ, unix.MAP_SHARED)
	if err := errors.Join(err, handle.Close()); err != nil {
		return false, err
	}
	more = true
	scan(b, int(from), func(kind Kind, payload []byte, next int) bool {
		more = each(Position{f.number, int64(next)}, kind, payload)
		return more
	})
	return more, unix.Munmap(b)
}
