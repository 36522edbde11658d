package pace

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestTurns: on one processor, another goroutine has its turn behind each
// TurnBytes that are passed on, whatever their pieces.
func TestTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, piece := range []int{TurnBytes / 8, TurnBytes, 4 * TurnBytes} {
		var had atomic.Int64
		var over atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ; !over.Load(); had.Add(1) {
				runtime.Gosched()
			}
		}()
		var turns Turns
		const wanted = 100
		for range wanted * max(1, TurnBytes/piece) {
			turns.Passed(piece)
		}
		over.Store(true)
		if got := had.Load(); got < wanted/2 { // Go gives none within its 10 ms
			t.Errorf("with pieces of %d bytes it had %d turns, want some %d", piece, got, wanted)
		}
		<-ended
	}
}

// TestPiecesAreWhole: what is copied or cleared in pieces is all of it, whatever
// its length.
func TestPiecesAreWhole(t *testing.T) {
	for _, n := range []int{0, 1, TurnBytes - 1, TurnBytes, TurnBytes + 1, 3*TurnBytes + 7} {
		src := bytes.Repeat([]byte("x"), n)
		var turns Turns
		got := turns.Append(append(make([]byte, 0, n+1), 'a'), src)
		if len(got) != n+1 || got[0] != 'a' || !bytes.Equal(got[1:], src) {
			t.Errorf("%d bytes are copied as %d", n, len(got)-1)
		}
		turns.Clear(got)
		if !bytes.Equal(got, make([]byte, n+1)) {
			t.Errorf("of %d bytes some are not cleared", n)
		}
	}
}
