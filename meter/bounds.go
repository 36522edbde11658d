package meter

import (
	"math"
	"time"
)

// MaxNumber bounds every number of a row: 2^36, which is 64 GiB in bytes, and
// in tokens some hundred times what a whole batch of a provider uses up
// (50,000 requests of 10,000 tokens). Numbers come from providers, and a tenant
// may own its provider. With this bound, 2^27 rows fit into a sum of 63 bits.
const MaxNumber = 1 << 36

// maxMicroseconds is the end of the year 9999, the last that RFC 3339 can write.
const maxMicroseconds = 253_402_300_799_999_999

// Bound puts a number between zero and [MaxNumber].
func Bound(n int64) int64 { return min(max(0, n), MaxNumber) }

// Add is a + b, which stays at the end of the range instead of leaving it.
func Add(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// boundMicroseconds puts a time between 1970 and 9999.
func boundMicroseconds(us int64) int64 { return min(max(0, us), maxMicroseconds) }

// boundDuration puts microseconds between zero and the longest duration.
func boundDuration(us int64) int64 {
	return min(max(0, us), math.MaxInt64/int64(time.Microsecond))
}
