package vaultbridge

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowerAnswerIsWiped: whichever of two calls answers later, its bytes are
// cleared, and those of the earlier one are whole.
func TestSlowerAnswerIsWiped(t *testing.T) {
	for _, slow := range []time.Duration{2 * time.Second, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			one, two := []byte("secret one"), []byte("secret two")
			after := func(d time.Duration, raw []byte) func() ([]byte, error) {
				return func() ([]byte, error) { time.Sleep(d); return raw, nil }
			}
			got, err := hedged(time.Second, after(slow, one), func() {}, after(2*time.Second, two))
			faster, slower := one, two
			if slow > 3*time.Second {
				faster, slower = two, one
			}
			if err != nil || &got[0] != &faster[0] {
				t.Fatalf("%q, %v", got, err)
			}
			time.Sleep(time.Minute)
			if !bytes.Equal(slower, make([]byte, len(slower))) {
				t.Errorf("the slower answer still holds %q", slower)
			}
			if !bytes.HasPrefix(faster, []byte("secret ")) {
				t.Errorf("the earlier answer is %q", faster)
			}
		})
	}
}
