package ledger

import (
	"errors"
	"io"
	"os"
	"time"
)

// work flushes what was written, closes files that are full, and keeps a spare
// one ready.
func (l *Ledger) work() {
	for {
		select {
		case <-l.stop:
			l.flush()
			return
		case <-l.wake:
		}
		if l.o.SyncInterval > 0 { // let others come along
			select {
			case <-l.stop:
			case <-time.After(l.o.SyncInterval):
			}
		}
		l.flush()
		l.prepare()
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
			err = errors.Join(f.close(), syncDir(l.o.Dir))
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
	missing := l.spare == nil
	l.mu.Unlock()
	if !missing {
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
}

// Read calls each for every frame from p on, up to what was appended when it
// was called, with where the next one begins. payload is lent for the call. An
// error of each ends it and is returned. Damage is passed over: Open has told
// of it.
func (l *Ledger) Read(p Position, each func(next Position, kind Kind, payload []byte) error) error {
	l.mu.Lock()
	files := append([]fileInfo(nil), l.sealed...)
	files = append(files, fileInfo{l.active.number, l.active.used()})
	l.mu.Unlock()
	for _, f := range files {
		if f.number < p.File {
			continue
		}
		from := int64(headerBytes)
		if f.number == p.File {
			from = max(from, p.Offset)
		}
		if err := readFile(filePath(l.o.Dir, f.number), f, from, each); err != nil {
			return err
		}
	}
	return nil
}

func readFile(path string, f fileInfo, from int64, each func(next Position, kind Kind, payload []byte) error) error {
	if from >= f.bytes {
		return nil
	}
	handle, err := os.Open(path)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // it was read
	b := make([]byte, f.bytes-from)
	if _, err := io.ReadFull(io.NewSectionReader(handle, from, f.bytes-from), b); err != nil {
		return err
	}
	var failed error
	scan(b, 0, func(kind Kind, payload []byte, next int) bool {
		failed = each(Position{f.number, from + int64(next)}, kind, payload)
		return failed == nil
	})
	return failed
}
