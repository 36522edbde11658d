package pace

import "runtime"

// TurnBytes is what a request passes on before the others have their turn:
// reading and copying it takes some 50 µs. A read of more should be cut to it:
// Go cannot interrupt the kernel, nor a copy.
const TurnBytes = 64 << 10

// Turns is for the work of a request on a body or a stream that its other side
// sends as fast as it can. Go lets such work go on for 10 ms at a time, and on a
// busy machine a small request waits for everybody's 10 ms each time it wakes up.
// The zero value is ready. It is for one goroutine.
type Turns struct{ bytes int }

// Passed is called for each piece, with its length.
func (t *Turns) Passed(n int) {
	if t.bytes += n; t.bytes < TurnBytes {
		return
	}
	t.bytes = 0
	runtime.Gosched()
}

// Append is append(dst, src...) into room that is there, in pieces.
func (t *Turns) Append(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), TurnBytes)
		dst = append(dst, src[:n]...)
		src = src[n:]
		t.Passed(n)
	}
	return dst
}

// Clear is clear(b), in pieces.
func (t *Turns) Clear(b []byte) {
	for len(b) > 0 {
		n := min(len(b), TurnBytes)
		clear(b[:n])
		b = b[n:]
		t.Passed(n)
	}
}
