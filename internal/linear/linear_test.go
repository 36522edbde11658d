package linear

import (
	"bytes"
	"testing"
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
