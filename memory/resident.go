package memory

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ownkey/ownkey/memory/index"
	"github.com/ownkey/ownkey/memory/passage"
)

// resident is a bucket in memory. It is changed by who has the bucket's turn,
// one memory at a time, so that recalls wait for no more than that.
type resident struct {
	key      bucketKey
	id       string
	held     *atomic.Int64 // of the keeper: what all of them hold
	newest   bool          // it has a part of the bucket; see [bucket.newest]
	measured atomic.Int64  // bytes, as measured last
	text     int64         // bytes of strings and vectors; likewise
	left     []int         // numbers that were removed, and the index has still; likewise

	mu      sync.RWMutex // guards what follows; held for microseconds
	index   *index.Index
	items   []item // by the index's number
	numbers map[string]int
	pinned  []int // numbers in order of arrival
	vectors vectors
	answers answers
}

// item is what recall needs of a memory. Its text is shared with nobody.
type item struct {
	Memory
	parts []part // its passages
	gone  bool
}

// part is where a passage ends, and what it costs in a block.
type part struct{ end, tokens int32 }

func (it *item) passages() int { return len(it.parts) }

// tokens is what a passage costs in a block by itself; 0 if there is none.
func (it *item) tokens(passage int) int {
	if passage >= len(it.parts) {
		return 0
	}
	return int(it.parts[passage].tokens)
}

// text gives the passages from one to before another.
func (it *item) text(from, to int) string {
	begin := int32(0)
	if from > 0 {
		begin = it.parts[from-1].end
	}
	return it.Content[begin:it.parts[to-1].end]
}

// partsOf reads where a memory's passages end.
func partsOf(m *Memory) []part {
	ends := passage.Split(nil, m.Content)
	all, begin := make([]part, len(ends)), 0
	for i, end := range ends {
		tokens := entryTokens(m, m.Content[begin:end])
		if len(ends) > 1 {
			tokens += signsTokens
		}
		all[i] = part{int32(end), int32(tokens)} //nolint:gosec // of at most 100 KiB
		begin = end
	}
	return all
}

func newResident(key bucketKey, id string, held *atomic.Int64) *resident {
	return &resident{key: key, id: id, held: held, index: index.New(&index.Default), numbers: map[string]int{}, answers: answers{held: held}}
}

// Sizes of what a bucket is made of, by the Go runtime (1.26): a slot of a map
// is two thirds full on the way, with a byte of control; a small object is
// rounded up to its size class.
const (
	residentBytes = int64(unsafe.Sizeof(resident{})+unsafe.Sizeof(bucket{})+unsafe.Sizeof(index.Index{})) + 1500 // channel, maps, entry of the keeper's map
	itemBytes     = int64(unsafe.Sizeof(item{}))
	numberBytes   = int64(unsafe.Sizeof("")+unsafe.Sizeof(0))*3/2 + 2
)

// measure counts what the bucket holds, and reports it to the keeper. The caller
// has the bucket's turn.
func (r *resident) measure() {
	size := residentBytes + r.text + r.index.Bytes() + int64(cap(r.items))*itemBytes + int64(len(r.numbers))*numberBytes +
		int64(cap(r.vectors.of))*int64(unsafe.Sizeof([]float32{})) + int64(cap(r.pinned)+cap(r.left)+cap(r.vectors.set))*8
	r.held.Add(size - r.measured.Swap(size))
}

// close takes what the bucket held off the keeper's account. Recalls that are
// under way go on with it.
func (r *resident) close() {
	r.held.Add(-r.measured.Swap(0))
	r.answers.close()
}

// size is what the strings and passages of a memory take, beside its item.
func (m *item) size() int64 {
	size := index.Allocated(len(m.parts)*int(unsafe.Sizeof(part{}))) + index.Allocated(len(m.ID)) + index.Allocated(len(m.Content)) + index.Allocated(len(m.Role)) + index.Allocated(len(m.Speaker)) +
		index.Allocated(len(m.Session)) + index.Allocated(len(m.Metadata)) + index.Allocated(len(m.Facts)*int(unsafe.Sizeof(""))) +
		index.Allocated(len(m.Supersedes)) + index.Allocated(len(m.SupersededBy))
	for _, f := range m.Facts {
		size += index.Allocated(len(f))
	}
	return size
}

// itemOf makes an item: what all memories of the bucket have in common is held
// once, and what only the store needs not at all.
func (r *resident) itemOf(m *Memory) item {
	it := item{Memory: *m, parts: partsOf(m)}
	if it.tenant == r.key.tenant { // another one's is seen by search
		it.tenant = r.key.tenant
	}
	it.Bucket, it.bucketID, it.hash, it.origin = r.key.name, r.id, nil, nil
	return it
}

// add puts a memory behind all others. The caller has the bucket's turn;
// likewise for replace and remove.
func (r *resident) add(m *Memory) {
	d, it := document(m), r.itemOf(m)
	words := r.index.Words(&d)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.index.AddWords(&d, words)
	r.items = append(r.items, it)
	r.numbers[m.ID] = n
	r.vectors.of = append(r.vectors.of, nil)
	if m.Pinned {
		r.pinned = append(r.pinned, n)
	}
	r.text += it.size()
	r.answers.forget()
}

// replace changes a memory where it stands.
func (r *resident) replace(m *Memory) {
	n, ok := r.numbers[m.ID]
	if !ok {
		return
	}
	d, it := document(m), r.itemOf(m)
	words := r.index.Words(&d)
	r.mu.Lock()
	defer r.mu.Unlock()
	old := &r.items[n]
	if old.Content != m.Content {
		r.text -= int64(4 * len(r.vectors.of[n]))
		r.vectors.of[n] = nil
	}
	r.index.ReplaceWords(n, &d, words)
	r.text += it.size() - old.size()
	r.items[n] = it
	r.pinned = slices.DeleteFunc(r.pinned, func(p int) bool { return p == n })
	if m.Pinned {
		r.pinned = append(r.pinned, n)
		slices.Sort(r.pinned)
	}
	r.answers.forget()
}

// remove takes memories out, so that no recall finds them: text, vector, and
// every answer that they may stand in. Their words are still counted until
// clean.
func (r *resident) remove(all []doomed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range all {
		n, ok := r.numbers[all[i].id]
		if !ok {
			continue
		}
		r.text -= r.items[n].size() + int64(4*len(r.vectors.of[n]))
		r.items[n] = item{gone: true}
		r.vectors.of[n] = nil
		delete(r.numbers, all[i].id)
		r.left = append(r.left, n)
	}
	r.answers.forget()
}

// clean takes the words of what was removed out of the index, in steps between
// which recalls go on.
func (r *resident) clean() {
	if len(r.left) == 0 {
		return
	}
	removal := r.index.Remove(r.left)
	step := func() (done bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return removal.Step()
	}
	for !step() {
	}
	r.left = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pinned = slices.DeleteFunc(r.pinned, func(n int) bool { return r.items[n].gone })
	r.answers.forget() // what was kept meanwhile was found with their words
}

// document is what the index knows of a memory.
func document(m *Memory) index.Document {
	d := index.Document{Text: m.Content, Facts: m.Facts, Speaker: m.Speaker, Session: m.Session, Day: m.ObservedAt}
	switch m.Role {
	case "user":
		d.Role = index.User
	case "assistant":
		d.Role = index.Assistant
	}
	return d
}
