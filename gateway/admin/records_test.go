package admin

import (
	"errors"
	"testing"
)

// broken is a client that has left.
type broken struct{ writes int }

func (b *broken) Write([]byte) (int, error) { b.writes++; return 0, errors.New("broken pipe") }

// TestListingEndsWithItsClient: the first line that cannot be written is the
// last, and nothing is said about the others.
func TestListingEndsWithItsClient(t *testing.T) {
	client := &broken{}
	out := listed{w: client}
	for range 3 {
		if n, err := out.Write([]byte("line\n")); n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if out.err == nil || client.writes != 1 {
		t.Errorf("%d writes, error %v", client.writes, out.err)
	}
}
