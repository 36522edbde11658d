package gateway

import (
	"bytes"
	"testing"
)

// TestHeldBodiesAreWiped: every buffer that a body was in, also those that it
// grew out of and the compressed one, is zero when the body is released.
func TestHeldBodiesAreWiped(t *testing.T) {
	for _, size := range []int{100, 300 << 10, 20 << 20} {
		h := heldBody{budget: &budget{max: 1 << 30}}
		h.replace(bytes.Repeat([]byte("a prompt "), size/9+1))
		encoded := borrowBuffer(size)
		*encoded = append(*encoded, bytes.Repeat([]byte("x"), size)...)
		h.encoded = encoded
		all := [][]byte{(*h.buf)[:len(*h.buf)], (*encoded)[:len(*encoded)]}
		if err := h.grow(0); err != nil {
			t.Fatal(err)
		}
		all = append(all, (*h.buf)[:len(*h.buf)])
		h.release()
		for i, b := range all {
			if len(b) < size || len(bytes.Trim(b, "\x00")) != 0 {
				t.Errorf("%d bytes, buffer %d: something is left", size, i)
			}
		}
	}
}
