package meter

import (
	"math"
	"testing"
)

// TestSumsStayAtTheEndOfTheirRange: no sum wraps, in either direction.
func TestSumsStayAtTheEndOfTheirRange(t *testing.T) {
	for _, f := range []struct{ a, b, want int64 }{
		{1, 2, 3},
		{-1, 1, 0},
		{math.MaxInt64, 0, math.MaxInt64},
		{math.MaxInt64 - 1, 1, math.MaxInt64},
		{math.MaxInt64, 1, math.MaxInt64},
		{1, math.MaxInt64, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64},
		{-1, math.MinInt64, math.MinInt64},
		{math.MinInt64, math.MaxInt64, -1},
	} {
		if got := Add(f.a, f.b); got != f.want {
			t.Errorf("%d + %d: %d, want %d", f.a, f.b, got, f.want)
		}
	}
}

// TestNumbersOfRowsAreBounded, where they are written and where they are read: 2^27
// rows with the largest number are still within the range of a sum.
func TestNumbersOfRowsAreBounded(t *testing.T) {
	for n, want := range map[int64]int64{
		math.MinInt64: 0, -1: 0, 0: 0, 1: 1, MaxNumber: MaxNumber, MaxNumber + 1: MaxNumber, math.MaxInt64: MaxNumber,
	} {
		if got := Bound(n); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
		var r Record
		if err := Decode(Encode(nil, &Record{RequestBytes: n, InputTokens: Count{n, true}}), &r); err != nil || r.RequestBytes != want || r.InputTokens.N != want {
			t.Errorf("%d: %d bytes and %d tokens come back, want %d, %v", n, r.RequestBytes, r.InputTokens.N, want, err)
		}
	}
}
