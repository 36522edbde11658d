// Package spill sorts more than fits in memory. Sorted runs go to a temporary
// file, which has no name and ends with the process, and are merged when they
// are read.
package spill

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
)

// runBuffer is what each run needs while runs are merged.
const runBuffer = 32 << 10

// Sorter holds entries, a key and a value each, to read them by key. It is for
// one goroutine.
type Sorter struct {
	limit   int
	arena   []byte // entries as they are in the file
	entries []entry
	file    *os.File
	runs    []int64 // where each run in the file ends
	n       int
}

// entry is one of the arena.
type entry struct{ at, key, end int }

const entryBytes = 24

// New makes a sorter that holds about limit bytes in memory.
func New(limit int) *Sorter { return &Sorter{limit: limit} }

// Len is how many entries there are.
func (s *Sorter) Len() int { return s.n }

// Add adds an entry. Both are copied.
func (s *Sorter) Add(key, value []byte) error {
	if size := len(s.arena) + entryBytes*len(s.entries); size > 0 && size+len(key)+len(value) > s.limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	at := len(s.arena)
	s.arena = binary.AppendUvarint(s.arena, uint64(len(key)))
	s.arena = binary.AppendUvarint(s.arena, uint64(len(value)))
	begin := len(s.arena)
	s.arena = append(append(s.arena, key...), value...)
	s.entries = append(s.entries, entry{at, begin, begin + len(key)})
	s.n++
	return nil
}

// sort sorts what is in memory. The same keys stay in the order of Add.
func (s *Sorter) sort() {
	slices.SortStableFunc(s.entries, func(a, b entry) int { return bytes.Compare(s.arena[a.key:a.end], s.arena[b.key:b.end]) })
}

// spill writes what is in memory as a run.
func (s *Sorter) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp("", "ownkey-sort-")
		if err != nil {
			return err
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	s.sort()
	w := bufio.NewWriterSize(s.file, runBuffer)
	size := int64(0)
	for _, e := range s.entries {
		valueBytes := valueLength(s.arena[e.at:])
		n, _ := w.Write(s.arena[e.at : e.end+valueBytes]) // Flush has the error
		size += int64(n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, s.written()+size)
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	return nil
}

// written is the size of the file.
func (s *Sorter) written() int64 {
	if len(s.runs) == 0 {
		return 0
	}
	return s.runs[len(s.runs)-1]
}

// valueLength reads the second of the lengths that an entry begins with.
func valueLength(b []byte) int {
	_, n := binary.Uvarint(b)
	v, _ := binary.Uvarint(b[n:])
	return int(v) //nolint:gosec // Add's
}

// Each calls f with all entries by key, those of the same key in the order in
// which they were added, until f gives an error. f may keep neither. Nothing is
// added any more, but Each may be called again.
func (s *Sorter) Each(f func(key, value []byte) error) error {
	s.sort()
	if s.file == nil {
		for _, e := range s.entries {
			valueBytes := valueLength(s.arena[e.at:])
			if err := f(s.arena[e.key:e.end], s.arena[e.end:e.end+valueBytes]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(s.entries) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
		s.arena, s.entries = nil, nil
	}
	return s.merge(f)
}

// Close gives the file's room back.
func (s *Sorter) Close() error {
	s.arena, s.entries = nil, nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func (s *Sorter) merge(f func(key, value []byte) error) error {
	var m merger
	begin := int64(0)
	for i, end := range s.runs {
		r := &run{in: bufio.NewReaderSize(io.NewSectionReader(s.file, begin, end-begin), runBuffer), number: i}
		if err := r.next(); err != nil {
			return err
		}
		m, begin = append(m, r), end
	}
	heap.Init(&m)
	for len(m) > 0 {
		if err := f(m[0].key, m[0].value); err != nil {
			return err
		}
		switch err := m[0].next(); {
		case err == nil:
			heap.Fix(&m, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&m)
		default:
			return err
		}
	}
	return nil
}

// run is a run that is read, at its first entry that was not given yet.
type run struct {
	in         *bufio.Reader
	number     int
	key, value []byte
}

func (r *run) next() error {
	key, err := binary.ReadUvarint(r.in)
	if err != nil {
		return err // io.EOF behind the last
	}
	value, err := binary.ReadUvarint(r.in)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	r.key = slices.Grow(r.key[:0], int(key))[:key]         //nolint:gosec // Add's
	r.value = slices.Grow(r.value[:0], int(value))[:value] //nolint:gosec // Add's
	for _, p := range [][]byte{r.key, r.value} {
		if _, err := io.ReadFull(r.in, p); err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// merger is a heap of runs.
type merger []*run

func (m merger) Len() int { return len(m) }
func (m merger) Less(i, j int) bool {
	if c := bytes.Compare(m[i].key, m[j].key); c != 0 {
		return c < 0
	}
	return m[i].number < m[j].number
}
func (m merger) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merger) Push(x any)   { *m = append(*m, x.(*run)) } //nolint:forcetypeassert // runs only
func (m *merger) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
