package gateway

import (
	"bytes"
	"testing"

	"github.com/ownkey/ownkey/gateway/admission"
)

// TestHeldBodiesAreWiped: every buffer that a body was in, also those that it
// grew out of and the compressed one, is zero when the body is released.
func TestHeldBodiesAreWiped(t *testing.T) {
	limiter := admission.New(admission.Options{MaxBufferedBytes: 1 << 30})
	defer limiter.Close()
	for _, size := range []int{100, 300 << 10, 20 << 20} {
		h := heldBody{holder: limiter.Heads()}
		if err := h.replace(bytes.Repeat([]byte("a prompt "), size/9+1)); err != nil {
			t.Fatal(err)
		}
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
		if limiter.Held() != 0 {
			t.Errorf("%d bytes are held after a body of %d was released", limiter.Held(), size)
		}
	}
}
