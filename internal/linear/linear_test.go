package linear

import (
	"bytes"
	"testing"
	"time"
)

// TestSquaresAreFound: the check passes what is linear and fails what is not.
func TestSquaresAreFound(t *testing.T) {
	linear := func(n int) func() {
		b := make([]byte, n)
		return func() {
			for i := range b {
				b[i]++
			}
		}
	}
	square := func(n int) func() {
		b := make([]byte, n)
		return func() {
			for i := 0; i < n; i += 64 {
				bytes.IndexByte(b[i:], 1)
			}
		}
	}
	Check(t, 1<<18, linear)
	var inner testing.T
	Check(&inner, 1<<14, square)
	if !inner.Failed() {
		t.Error("quadratic work passes")
	}
}

// TestHeldIsWhatIsInUse: garbage does not count, what is kept does.
func TestHeldIsWhatIsInUse(t *testing.T) {
	const size = 8 << 20
	var kept []byte
	keep := func() { kept = make([]byte, size) }
	if held := Held(keep); held < size*9/10 || len(kept) != size {
		t.Errorf("%d bytes are held, want %d", held, size)
	}
	const times = 200
	drop := func() {
		for range times {
			kept = make([]byte, size/8)
			time.Sleep(time.Millisecond)
		}
	}
	if held := Held(drop); held > times*size/8/2 {
		t.Errorf("%d bytes of garbage count", held)
	}
}
