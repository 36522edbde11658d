package admission

import "sync/atomic"

// MaxBufferedBytes is the name of the limit that a room keeps.
const MaxBufferedBytes = "max_buffered_bytes"

// room is the memory for what is held of all tenants at once: bodies, large
// heads, answers. A holder may have at most as much as stays free for all
// others (the dynamic threshold of Choudhury and Hahne for shared memory, with a
// factor of one). So one alone may have half of it, two a third each, and
// however many have taken all they can, there is room for one more.
type room struct {
	max  int64
	used atomic.Int64
}

// Holder is what one tenant holds of the room. It is safe for concurrent use.
type Holder struct {
	room *room
	held atomic.Int64
}

// Take takes n bytes, if the holder may have them. They are the holder's until
// Give. What one holder is refused never counts against another, not even for
// a moment.
func (h *Holder) Take(n int) bool {
	held := h.held.Add(int64(n))
	for {
		used := h.room.used.Load()
		after := used + int64(n)
		if held > h.room.max-after {
			h.held.Add(-int64(n))
			return false
		}
		if h.room.used.CompareAndSwap(used, after) {
			return true
		}
	}
}

// Owe takes n bytes that are in memory already, even if the holder may not have
// them: it is then refused more until it has given some back.
func (h *Holder) Owe(n int) {
	h.held.Add(int64(n))
	h.room.used.Add(int64(n))
}

// Full reports whether the holder has all it may have.
func (h *Holder) Full() bool { return h.held.Load() >= h.room.max-h.room.used.Load() }

// Give gives n bytes back.
func (h *Holder) Give(n int) {
	h.room.used.Add(-int64(n))
	h.held.Add(-int64(n))
}
