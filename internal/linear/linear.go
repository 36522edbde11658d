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
	// rounds of which the shortest count: other processes only make it longer. A
	// machine may be busy for a while, so there are many, and the first that is
	// good enough is the last.
	rounds = 60
	// patience bounds the rounds of what is not linear.
	patience = 5 * time.Second
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
	began, a, b := time.Now(), once(small), once(large)
	for round := 1; round < rounds && float64(b) > most*float64(a) && (round < 5 || time.Since(began) < patience); round++ {
		a, b = min(a, once(small)), min(b, once(large))
	}
	if ratio := float64(b) / float64(a); ratio > most {
		t.Errorf("%d times the input (%d bytes) takes %.0f times as long, want at most %d", factor, factor*size, ratio, most)
	}
}

func once(work func()) time.Duration {
	began := time.Now()
	work()
	return max(time.Since(began), time.Microsecond)
}
