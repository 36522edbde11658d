package pace

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestTurns: on one processor, another goroutine has its turn behind each
// turnBytes that are passed on, whatever their pieces.
func TestTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, piece := range []int{turnBytes / 8, turnBytes, 4 * turnBytes} {
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
		for range wanted * max(1, turnBytes/piece) {
			turns.Passed(piece)
		}
		over.Store(true)
		if got := had.Load(); got < wanted/2 { // Go gives none within its 10 ms
			t.Errorf("with pieces of %d bytes it had %d turns, want some %d", piece, got, wanted)
		}
		<-ended
	}
}
