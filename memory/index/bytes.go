package index

import "unsafe"

// Sizes by the Go runtime (1.26): a slot of a map is two thirds full on the way,
// with a byte of control.
const (
	postingBytes = int64(unsafe.Sizeof(posting{}))
	wordSlot     = int64(unsafe.Sizeof("")+8)*3/2 + 2
)

// Bytes is about how much memory the index holds.
func (x *Index) Bytes() int64 {
	return x.bytes + int64(cap(x.docs))*int64(unsafe.Sizeof(doc{})) + int64(cap(x.parts))*int64(unsafe.Sizeof(part{})) + int64(cap(x.lists))*int64(unsafe.Sizeof(list{})) +
		int64(cap(x.texts.length)+cap(x.talks.length)+cap(x.last))*4 + int64(cap(x.names))*int64(unsafe.Sizeof([]uint32{})) +
		int64(cap(x.words.words))*int64(unsafe.Sizeof("")) + int64(cap(x.counted))*postingBytes
}

// Allocated is about what n bytes take as an object of their own: the runtime
// rounds up to a size class, some tenth of it.
func Allocated(n int) int64 {
	switch {
	case n == 0:
		return 0
	case n <= 16:
		return int64(n+7) &^ 7
	}
	return int64(n+n/16+15) &^ 15
}
