package invoice

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// MicroUSD is money: millionths of a US dollar.
type MicroUSD int64

// String gives dollars with six decimals, such as -0.000150.
func (m MicroUSD) String() string { return decimal(big.NewInt(int64(m)), big.NewInt(microPerUSD)) }

const (
	microPerUSD        = 1_000_000
	millisecondsOfHour = 3_600_000
	// thousand is how many memory-months or retrievals a price is for.
	thousand = 1000
)

// addMoney is a + b; ErrTooLarge when that is no MicroUSD.
func addMoney(a, b MicroUSD) (MicroUSD, error) {
	sum, err := addCount(int64(a), int64(b))
	return MicroUSD(sum), err
}

// addCount is a + b; ErrTooLarge when that does not fit.
func addCount(a, b int64) (int64, error) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, ErrTooLarge
	}
	return a + b, nil
}

// cost is quantity × price / per, rounded half up to the micro-dollar: the one
// rounding that there is. Nothing of it may be negative.
func cost(quantity *big.Int, price MicroUSD, per int64) (MicroUSD, error) {
	n := new(big.Int).Mul(quantity, big.NewInt(int64(price)))
	n = halfUp(n, big.NewInt(per))
	if !n.IsInt64() {
		return 0, ErrTooLarge
	}
	return MicroUSD(n.Int64()), nil
}

// halfUp is n/d for n ≥ 0, rounded half up.
func halfUp(n, d *big.Int) *big.Int {
	n = new(big.Int).Lsh(n, 1)
	n.Add(n, d)
	return n.Quo(n, new(big.Int).Lsh(d, 1))
}

// decimal is n/d with six decimals, rounded half away from zero.
func decimal(n, d *big.Int) string {
	scaled := new(big.Int).Mul(new(big.Int).Abs(n), big.NewInt(microPerUSD))
	whole, part := new(big.Int).QuoRem(halfUp(scaled, d), big.NewInt(microPerUSD), new(big.Int))
	sign := ""
	if n.Sign() < 0 && (whole.Sign() != 0 || part.Sign() != 0) {
		sign = "-"
	}
	return fmt.Sprintf("%s%s.%06d", sign, whole, part)
}

// MemoryTime is memories × milliseconds that they were held: exact, without a
// limit, and never changed once made. The zero value is none.
type MemoryTime struct{ ms *big.Int }

func (t MemoryTime) big() *big.Int {
	if t.ms == nil {
		return new(big.Int)
	}
	return t.ms
}

func (t MemoryTime) plus(o MemoryTime) MemoryTime {
	return MemoryTime{new(big.Int).Add(t.big(), o.big())}
}

func (t MemoryTime) minus(o MemoryTime) MemoryTime {
	return MemoryTime{new(big.Int).Sub(t.big(), o.big())}
}

// String gives memory-milliseconds, a whole number.
func (t MemoryTime) String() string { return t.big().String() }

// Hours gives memory-hours with six decimals, rounded half away from zero.
func (t MemoryTime) Hours() string { return decimal(t.big(), big.NewInt(millisecondsOfHour)) }

// Months gives memory-months of m with six decimals, rounded likewise.
func (t MemoryTime) Months(m Month) string { return decimal(t.big(), big.NewInt(m.Milliseconds())) }

// MarshalText gives memory-milliseconds. A JSON text, since a JSON number would
// lose digits in some readers.
func (t MemoryTime) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *MemoryTime) UnmarshalText(text []byte) error {
	n, ok := new(big.Int).SetString(string(text), 10)
	if !ok || strings.HasPrefix(string(text), "+") {
		return errors.New("want a whole number of memory-milliseconds")
	}
	t.ms = n
	return nil
}
