package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ownkey/ownkey/internal/durable"
	"golang.org/x/sys/unix"
)

// A file begins with a header: magic (8 bytes), gateway id (16), epoch (8),
// number (8), CRC-32C of these (4), zeros to 64 bytes.
const (
	headerBytes = 64
	headerUsed  = 40
)

var magic = []byte("OWNLEDG1")

// file is one that is mapped and written. Its fields are guarded by the
// ledger's mutex, but for sync and close, which the worker calls when no frame
// can come any more, or which do not mind one.
type file struct {
	number uint64
	path   string
	handle *os.File
	window []byte
	end    int
	dirty  bool // it is on the list of what is to be flushed
	full   bool // nothing is written to it any more
}

func filePath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x.log", number))
}

// fileNumber reads a file's number from its name.
func fileNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, ok && err == nil && len(digits) == 16
}

// spareName is what a file is called until it is needed. One that a crash left
// behind may have been in use: its new name was not on the disk yet.
const spareName = "next.spare"

// createFile makes a file whose disk space is taken. After an error it is gone.
func createFile(path string, size int64) (*file, error) {
	f := &file{path: path, end: headerBytes}
	var err error
	if f.handle, err = os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err = unix.Fallocate(int(f.handle.Fd()), 0, 0, size); err == nil {
		f.window, err = unix.Mmap(int(f.handle.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot take %d bytes of disk for %s: %w", size, f.path, err), f.handle.Close(), os.Remove(f.path))
	}
	return f, nil
}

// begin gives a file its number and header, and its name if that can be done.
func (f *file) begin(dir string, number uint64, id Identity) error {
	putHeader(f.window, id, number)
	f.number = number
	return f.rename(dir)
}

// rename gives a file the name of its number. Until it has it, its header says
// what it is.
func (f *file) rename(dir string) error {
	path := filePath(dir, f.number)
	if path == f.path {
		return nil
	}
	if err := os.Rename(f.path, path); err != nil {
		return err
	}
	f.path = path
	return nil
}

func putHeader(b []byte, id Identity, number uint64) {
	copy(b, magic)
	copy(b[8:], id.Gateway[:])
	binary.LittleEndian.PutUint64(b[24:], id.Epoch)
	binary.LittleEndian.PutUint64(b[32:], number)
	binary.LittleEndian.PutUint32(b[headerUsed:], crc32.Checksum(b[:headerUsed], castagnoli))
}

// headerOf reads a file's number; false when its header is damaged.
func headerOf(b []byte) (number uint64, ok bool) {
	if len(b) < headerBytes || !bytes.Equal(b[:8], magic) ||
		binary.LittleEndian.Uint32(b[headerUsed:]) != crc32.Checksum(b[:headerUsed], castagnoli) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[32:]), true
}

func (f *file) room() int64 { return int64(len(f.window) - f.end) }

func (f *file) used() int64 { return int64(f.end) }

func (f *file) info() fileInfo { return fileInfo{f.number, f.used(), f.path} }

func (f *file) append(kind Kind, payload []byte) {
	putFrame(f.window[f.end:], kind, payload)
	f.end += frameBytes(len(payload))
}

// sync brings what is written to the disk.
func (f *file) sync() error { return durable.SyncData(f.handle) }

// close gives back the space that was not used.
func (f *file) close() error {
	err := errors.Join(unix.Munmap(f.window), f.handle.Truncate(int64(f.end)), durable.Sync(f.handle), f.handle.Close())
	f.window = nil
	return err
}

// remove ends a file that was not used.
func (f *file) remove() error {
	return errors.Join(unix.Munmap(f.window), f.handle.Close(), os.Remove(f.path))
}
