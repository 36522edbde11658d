package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ownkey/ownkey/internal/durable"
)

// recover takes over the files that are there and gives the next file's number.
func (l *Ledger) recover() (next uint64, err error) {
	if err := l.adoptSpare(); err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(l.o.Dir)
	if err != nil {
		return 0, err
	}
	var numbers []uint64
	for _, e := range entries {
		if n, ok := fileNumber(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		info, err := l.takeOver(n)
		if err != nil {
			return 0, err
		}
		if info.bytes > 0 {
			l.sealed = append(l.sealed, info)
			l.used.Add(info.bytes)
		}
		next = n + 1
	}
	return max(next, 1), nil
}

// adoptSpare gives a spare file that was in use its name, and removes one that
// was not.
func (l *Ledger) adoptSpare() error {
	b, err := os.ReadFile(l.sparePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if number, ok := headerOf(b); ok {
		return os.Rename(l.sparePath(), filePath(l.o.Dir, number))
	}
	return os.Remove(l.sparePath())
}

// takeOver checks one file. Damage between frames is copied aside; what
// follows the last frame is zeros, or the torn end of a crash, which is copied
// as well and then cut. A file without a frame is removed, also one whose header
// a crash has cut short.
func (l *Ledger) takeOver(number uint64) (fileInfo, error) {
	path := filePath(l.o.Dir, number)
	b, err := os.ReadFile(path)
	if err != nil {
		return fileInfo{}, err
	}
	from := min(headerBytes, len(b))
	if _, ok := headerOf(b); !ok && !allZero(b[:from]) && !allZero(b[from:]) {
		if err := l.quarantine("damaged", number, b, span{0, from}); err != nil {
			return fileInfo{}, err
		}
	}
	end, damaged := scan(b, from, func(Kind, []byte, int) bool { return true })
	for _, s := range damaged {
		if err := l.quarantine("damaged", number, b, s); err != nil {
			return fileInfo{}, err
		}
	}
	if !allZero(b[end:]) {
		if err := l.quarantine("torn", number, b, span{end, len(b)}); err != nil {
			return fileInfo{}, err
		}
	}
	if end <= headerBytes {
		return fileInfo{}, os.Remove(path)
	}
	if end < len(b) {
		if err := os.Truncate(path, int64(end)); err != nil {
			return fileInfo{}, err
		}
	}
	return fileInfo{number, int64(end), path}, nil
}

// quarantine copies a part of a file aside, without the zeros at its end, and
// tells of it. The file itself stays as it is: the copy could be all there is.
func (l *Ledger) quarantine(what string, number uint64, b []byte, s span) error {
	part := b[s.from:s.to]
	for len(part) > 0 && part[len(part)-1] == 0 {
		part = part[:len(part)-1]
	}
	kept, err := l.setAside(fmt.Sprintf("%016x-%d.bin", number, s.from), part)
	if err != nil {
		return err
	}
	l.o.Alarm(Trouble{What: what, File: filePath(l.o.Dir, number), Offset: int64(s.from), Bytes: int64(len(part)), Kept: kept})
	return nil
}

// setAside writes b to a file in the folder quarantine, durably.
func (l *Ledger) setAside(name string, b []byte) (path string, err error) {
	path = filepath.Join(l.o.Dir, "quarantine", name)
	if err := durable.WriteFile(path, b); err != nil {
		return path, fmt.Errorf("cannot keep damaged part: %w", err)
	}
	return path, nil
}
