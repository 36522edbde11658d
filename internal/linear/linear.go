// Package linear is for tests: it finds work that grows faster than its input.
package linear

import (
	"testing"
	"time"
)

const (
	// factor is how much larger the second input is. Linear work takes as much
	// longer, quadratic work its square.
	factor = 8
	// most is the ratio of times that passes for linear, caches and the garbage
	// collector included: three times what it should be, and less than half of a
	// square.
	most = 3 * factor
	// least is what the smaller input has to take, so that the clock can say.
	least = 200 * time.Microsecond
	// rounds of which the shortest counts: other processes only make it longer.
	rounds = 5
	// attempts that have to fail, as a machine may be busy with something else.
	attempts = 3
)

// Check fails a test if the work for an input eight times as large takes more
// than 24 times as long. prepare makes an input of some n bytes, n at least
// size, and gives the work on it.
func Check(t *testing.T, size int, prepare func(n int) (work func())) {
	t.Helper()
	small := prepare(size)
	for once(small) < least && size < 1<<20 {
		size *= 2
		small = prepare(size)
	}
	large := prepare(factor * size)
	var ratio float64
	for range attempts {
		if ratio = compare(small, large); ratio <= most {
			return
		}
	}
	t.Errorf("%d times the input (%d bytes) takes %.0f times as long, want at most %d", factor, factor*size, ratio, most)
}

// compare gives the ratio of the shortest times.
func compare(small, large func()) float64 {
	a, b := once(small), once(large)
	for range rounds - 1 {
		if float64(b) <= most*float64(a) {
			break
		}
		a, b = min(a, once(small)), min(b, once(large))
	}
	return float64(b) / float64(a)
}

func once(work func()) time.Duration {
	began := time.Now()
	work()
	return max(time.Since(began), time.Microsecond)
}
