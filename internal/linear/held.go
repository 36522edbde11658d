package linear

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// Held gives the most bytes that work held in memory at a time, beyond what was
// held before. It collects garbage all the while, so that only what is in use
// counts; other work in the process counts, too.
func Held(work func()) int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}} // without what was allocated since
	inUse := func() int64 {
		runtime.GC()
		metrics.Read(live)
		return int64(live[0].Value.Uint64()) //nolint:gosec // far below
	}
	before, most := inUse(), int64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		most = max(most, inUse()-before)
		select {
		case <-done:
			return max(most, inUse()-before)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
