package pace

import "runtime"

// turnBytes is what a request passes on before the others have their turn:
// reading and copying it takes some 50 µs.
const turnBytes = 64 << 10

// Turns is for the work of a request on a body or a stream that its other side
// sends as fast as it can. Go lets such work go on for 10 ms at a time, and on a
// busy machine a small request waits for everybody's 10 ms each time it wakes up.
// The zero value is ready. It is for one goroutine.
type Turns struct{ bytes int }

// Passed is called for each piece, with its length.
func (t *Turns) Passed(n int) {
	if t.bytes += n; t.bytes < turnBytes {
		return
	}
	t.bytes = 0
	runtime.Gosched()
}
