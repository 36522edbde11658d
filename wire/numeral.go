package wire

// numeral is a number being read, in any notation of JSON: some providers write
// a count of 26 as 26.0 or 2.6e1.
type numeral struct {
	digits   int64 // without the zeros at the end of the fraction
	scale    int   // how many of the digits are of the fraction
	zeros    int   // of the fraction, behind its last other digit
	exponent int
	negative bool
	shrinks  bool // the exponent is negative
}

// Bounds at which a numeral stops to be exact. It is no count then.
const (
	maxDigits   = 1 << 53
	maxExponent = 1000
)

func (n *numeral) integer(c byte) {
	if n.digits <= maxDigits {
		n.digits = n.digits*10 + int64(c-'0')
	}
}

func (n *numeral) fraction(c byte) {
	if c == '0' {
		n.zeros++
		return
	}
	for ; n.zeros > 0; n.zeros-- {
		n.integer('0')
		n.scale++
	}
	n.integer(c)
	n.scale++
}

func (n *numeral) power(c byte) {
	n.exponent = min(n.exponent*10+int(c-'0'), maxExponent)
}

// count gives the number if it is whole and from 0 to maxCount.
func (n *numeral) count() (int64, bool) {
	value, shift := n.digits, n.exponent
	if n.shrinks {
		shift = -shift
	}
	shift -= n.scale
	if n.negative || value > maxDigits {
		return 0, false
	}
	for ; shift > 0 && value > 0 && value <= maxCount; shift-- {
		value *= 10
	}
	for ; shift < 0 && value > 0; shift++ {
		if value%10 != 0 {
			return 0, false
		}
		value /= 10
	}
	return value, value <= maxCount
}
