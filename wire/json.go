package wire

// members is an incremental reader of one JSON value that picks out a few
// members and skips the rest. Its state survives any split of the input, also
// within an escape or a number. It accepts what RFC 8259 accepts, to a depth
// of 512 and whatever the bytes of strings mean in UTF-8; once it has met
// anything else it is broken and reads no further. It keeps no text but the
// name that it is reading.
//
// This file has the grammar; members.go says what is picked out.
type members struct {
	state   jsonState
	nest    nesting
	keys    [levels + 1]key // keys[d] leads to the value that is read at depth d
	usageAt int             // depth at which the key usage stands; 0 outside
	found   findings        // counts when whole reports true

	inKey   bool // the string being read is a key
	collect bool // the string being read is kept in buf
	buf     [maxIDBytes]byte
	n       int   // bytes of the string; beyond buf's length when it cannot be kept
	length  int64 // bytes of the string as it is written

	rest    string // of the literal being read
	number  numeral
	hexLeft int // digits of \uXXXX still to come
}

type jsonState uint8

const (
	wantValue jsonState = iota
	wantElementOrEnd
	wantKeyOrEnd
	wantKey
	wantColon
	wantComma // or the end of the array or object
	inString
	inEscape
	inHex
	inLiteral
	inMinus // of a number: its sign was read
	inZero
	inInteger
	inPoint
	inFraction
	inE
	inESign
	inExponent
	whole  // the value is complete; what follows is not looked at
	broken // this is not JSON
)

// reset begins a new value. Old levels and names are overwritten before they
// are read.
func (m *members) reset() {
	m.state, m.nest.depth, m.usageAt = wantValue, 0, 0
	m.found = findings{}
}

// whole reports whether the value is complete.
func (m *members) whole() bool { return m.state == whole }

// begun reports whether a value has begun and can still go on.
func (m *members) begun() bool {
	return m.state < whole && (m.state != wantValue || m.nest.depth > 0)
}

// finish ends a number that is itself the value.
func (m *members) finish() {
	if m.nest.depth == 0 && m.state >= inMinus && m.state <= inExponent {
		m.endNumber()
	}
}

func (m *members) write(p []byte) {
	for i := 0; i < len(p); {
		switch m.state {
		case whole, broken:
			return
		case inString:
			i += m.text(p[i:])
		case inMinus, inZero, inInteger, inPoint, inFraction, inE, inESign, inExponent:
			i += m.numerals(p[i:])
		case inEscape:
			m.escape(p[i])
			i++
		case inHex:
			m.hex(p[i])
			i++
		case inLiteral:
			m.literal(p[i])
			i++
		default:
			m.structure(p[i])
			i++
		}
	}
}

// structure reads a byte between the scalars.
func (m *members) structure(c byte) {
	if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
		return
	}
	switch {
	case m.state == wantValue:
		m.begin(c)
	case m.state == wantElementOrEnd && c == ']', m.state == wantKeyOrEnd && c == '}':
		m.close()
	case m.state == wantElementOrEnd:
		m.begin(c)
	case (m.state == wantKeyOrEnd || m.state == wantKey) && c == '"':
		m.beginString(true)
	case m.state == wantColon && c == ':':
		m.state = wantValue
	case m.state == wantComma:
		m.separator(c, m.nest.inObject())
	default:
		m.state = broken
	}
}

// separator reads what may stand behind a value.
func (m *members) separator(c byte, object bool) {
	switch {
	case c == ',' && object:
		m.state = wantKey
	case c == ',':
		m.state = wantValue
	case c == '}' && object, c == ']' && !object:
		m.close()
	default:
		m.state = broken
	}
}

// begin reads the first byte of a value.
func (m *members) begin(c byte) {
	switch c {
	case '{', '[':
		m.open(c == '{')
	case '"':
		m.beginString(false)
	case '-':
		m.state, m.number = inMinus, numeral{negative: true}
	case '0':
		m.state, m.number = inZero, numeral{}
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		m.state, m.number = inInteger, numeral{digits: int64(c - '0')}
	case 't':
		m.state, m.rest = inLiteral, "true"[1:]
		m.foundTrue()
	case 'f':
		m.state, m.rest = inLiteral, "false"[1:]
	case 'n':
		m.state, m.rest = inLiteral, "null"[1:]
	default:
		m.state = broken
	}
}

func (m *members) open(object bool) {
	m.foundContainer()
	if !m.nest.push(object) {
		m.state = broken
		return
	}
	m.state = wantElementOrEnd
	if object {
		m.state = wantKeyOrEnd
	}
	if d := m.nest.depth; d <= levels {
		m.keys[d] = keyElement // an object's keys replace it
	}
}

func (m *members) close() {
	m.nest.pop()
	if m.nest.depth <= m.usageAt {
		m.usageAt = 0
	}
	m.endValue()
}

func (m *members) endValue() {
	m.state = wantComma
	if m.nest.depth == 0 {
		m.state = whole
	}
}

func (m *members) beginString(asKey bool) {
	m.state, m.inKey, m.n, m.length = inString, asKey, 0, 0
	m.collect = m.nest.depth <= levels && (asKey || m.wantsString())
}

// text reads of a string what p has and says how much that was.
func (m *members) text(p []byte) int {
	end := plain(p)
	m.length += int64(end)
	m.keep(p[:end])
	if end == len(p) {
		return end
	}
	switch p[end] {
	case '"':
		m.endString()
	case '\\':
		m.state = inEscape
	default:
		m.state = broken // a control character
	}
	return end + 1
}

// keep adds to a string that is kept.
func (m *members) keep(p []byte) {
	if !m.collect {
		return
	}
	if m.n+len(p) > len(m.buf) {
		m.n = len(m.buf) + 1
		return
	}
	m.n += copy(m.buf[m.n:], p)
}

// escape reads the byte behind a backslash. A name may have its slashes
// escaped, as PHP does it; other escapes have no place in the names that are
// looked for.
func (m *members) escape(c byte) {
	m.state = inString
	m.length += 2
	switch c {
	case '/', '"', '\\':
		m.keep([]byte{c})
	case 'b', 'f', 'n', 'r', 't':
		m.n = len(m.buf) + 1
	case 'u':
		m.n = len(m.buf) + 1
		m.state, m.hexLeft = inHex, 4
		m.length += 4
	default:
		m.state = broken
	}
}

func (m *members) hex(c byte) {
	m.hexLeft--
	switch {
	case hexDigit(c) < 0:
		m.state = broken
	case m.hexLeft == 0:
		m.state = inString
	}
}

func (m *members) endString() {
	var s []byte
	if m.collect && m.n <= len(m.buf) {
		s = m.buf[:m.n]
	}
	if m.inKey {
		if m.collect {
			m.keys[m.nest.depth] = keyOf(s)
		}
		m.state = wantColon
		return
	}
	if m.collect {
		m.foundString(s)
	} else {
		m.foundText()
	}
	m.endValue()
}

func (m *members) literal(c byte) {
	if c != m.rest[0] {
		m.state = broken
		return
	}
	if m.rest = m.rest[1:]; m.rest == "" {
		m.endValue()
	}
}

// numerals reads of a number what p has and says how much that was.
func (m *members) numerals(p []byte) int {
	for i, c := range p {
		digit := '0' <= c && c <= '9'
		switch {
		case digit && m.state == inInteger:
			m.number.integer(c)
		case digit && m.state == inFraction:
			m.number.fraction(c)
		case digit && m.state == inExponent:
			m.number.power(c)
		case digit && m.state != inZero:
			m.firstDigit(c)
		case c == '.' && (m.state == inZero || m.state == inInteger):
			m.state = inPoint
		case c|0x20 == 'e' && (m.state == inZero || m.state == inInteger || m.state == inFraction):
			m.state = inE
		case (c == '+' || c == '-') && m.state == inE:
			m.state, m.number.shrinks = inESign, c == '-'
		default:
			m.endNumber()
			return i
		}
	}
	return len(p)
}

// firstDigit reads a digit behind a sign, a point or an e.
func (m *members) firstDigit(c byte) {
	switch {
	case m.state == inPoint:
		m.state = inFraction
		m.number.fraction(c)
	case m.state != inMinus:
		m.state = inExponent
		m.number.power(c)
	case c == '0':
		m.state = inZero
	default:
		m.state = inInteger
		m.number.integer(c)
	}
}

func (m *members) endNumber() {
	switch m.state {
	case inMinus, inPoint, inE, inESign:
		m.state = broken
		return
	}
	m.foundNumber()
	m.endValue()
}
