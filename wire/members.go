package wire

import "bytes"

// members is an incremental reader of JSON that reports a few members and
// skips the rest. Its state survives any split of the input, also within an
// escape or a number. It keeps no text but the name or identifier it is
// reading, and never fails: what makes no sense is passed over.
type members struct {
	found *Scanner // where what is found goes

	state   memberState
	depth   int
	objects uint16          // one bit a level, up to levels: the level is an object
	keys    [levels + 1]key // keys[d] leads to the value that is read at depth d
	wantKey bool            // the next string is a key
	collect bool            // the string being read is kept in buf
	buf     [maxNameBytes]byte
	n       int // bytes of buf; beyond its length when the string was longer or had escapes
	number  int64
	whole   bool // the number is a whole one so far
	usageAt int  // depth at which the key usage stands; 0 outside
	ended   bool // the outermost value was closed
}

type memberState uint8

const (
	inStructure memberState = iota
	inString
	inEscape
	inNumber
	inLiteral
)

const (
	// levels is how deep the members of interest lie:
	// response.usage.output_tokens_details.reasoning_tokens.
	levels = 5
	// maxNameBytes bounds a kept string: a model's name.
	maxNameBytes = 128
	// maxCount is the largest count that is believed: beyond it a number is not
	// exact in JSON (RFC 8259, section 6).
	maxCount = 1 << 53
)

// reset begins a new JSON value.
func (m *members) reset() { *m = members{found: m.found} }

func (m *members) write(p []byte) {
	for i := 0; i < len(p); {
		switch m.state {
		case inString:
			i += m.text(p[i:])
		case inEscape:
			m.state = inString
			i++
		case inNumber:
			if m.digit(p[i]) {
				i++
			}
		case inLiteral:
			if 'a' <= p[i] && p[i] <= 'z' {
				i++
			} else {
				m.state = inStructure
			}
		default:
			m.structure(p[i])
			i++
		}
	}
}

// finish ends a number that nothing followed.
func (m *members) finish() {
	if m.state == inNumber {
		m.endNumber()
	}
}

func (m *members) structure(c byte) {
	switch c {
	case '{', '[':
		m.open(c == '{')
	case '}', ']':
		m.close()
	case ',':
		m.wantKey = m.inObject()
	case ':':
		m.wantKey = false
	case '"':
		m.collect = m.depth <= levels && (m.wantKey || m.wantsString())
		m.state, m.n = inString, 0
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		m.state, m.number, m.whole = inNumber, 0, c != '-'
		m.digit(c)
	case 't', 'f', 'n':
		m.state = inLiteral
		if m.at(keyError) && c == 't' {
			m.found.failed = true
		}
	}
}

func (m *members) inObject() bool {
	return m.depth <= levels && m.objects>>m.depth&1 == 1
}

func (m *members) open(object bool) {
	if m.at(keyError) {
		m.found.failed = true
	}
	if m.usageAt == 0 && m.depth <= levels && m.keys[m.depth] == keyUsage && m.atTopOrWrapped() {
		m.usageAt = m.depth
	}
	m.depth++
	m.wantKey = object
	if m.depth > levels {
		return
	}
	m.objects &^= 1 << m.depth
	m.keys[m.depth] = keyElement
	if object {
		m.objects |= 1 << m.depth
		m.keys[m.depth] = keyUnknown
	}
}

func (m *members) close() {
	if m.depth == 0 {
		return
	}
	m.depth--
	m.wantKey = false
	if m.depth <= m.usageAt {
		m.usageAt = 0
	}
	m.ended = m.ended || m.depth == 0
}

// at reports whether the value being read is a member k of the outermost
// object.
func (m *members) at(k key) bool { return m.depth == 1 && m.keys[1] == k }

// atTopOrWrapped reports whether the value being read is a member of the
// outermost object, or of the object that events wrap an answer in.
func (m *members) atTopOrWrapped() bool {
	return m.depth == 1 || m.depth == 2 && (m.keys[1] == keyResponse || m.keys[1] == keyMessage || m.keys[1] == keyXGroq)
}

// wantsString reports whether the string that begins is one to keep.
func (m *members) wantsString() bool {
	switch m.keys[m.depth] {
	case keyModel:
		return m.atTopOrWrapped()
	case keyType, keyError:
		return m.depth == 1
	case keyFinishReason:
		return m.depth == 3 && m.keys[1] == keyChoices
	}
	return false
}

// text reads of a string what p has and says how much that was.
func (m *members) text(p []byte) int {
	end := bytes.IndexByte(p, '"')
	if end < 0 {
		end = len(p)
	}
	if slash := bytes.IndexByte(p[:end], '\\'); slash >= 0 {
		m.n = maxNameBytes + 1 // a name with escapes is none of ours
		m.state = inEscape
		return slash + 1
	}
	if m.collect {
		if m.n+end <= maxNameBytes {
			copy(m.buf[m.n:], p[:end])
		}
		m.n = min(m.n+end, maxNameBytes+1)
	}
	if end == len(p) {
		return end
	}
	m.state = inStructure
	if m.collect {
		m.endString()
	}
	return end + 1
}

func (m *members) endString() {
	var s []byte
	if m.n <= maxNameBytes {
		s = m.buf[:m.n]
	}
	if m.wantKey {
		m.keys[m.depth] = keyOf(s)
		return
	}
	switch m.keys[m.depth] {
	case keyModel:
		m.found.model.set(s)
	case keyType:
		m.found.named(s)
	case keyError:
		m.found.failed = m.found.failed || m.n > 0
	case keyFinishReason:
		m.found.finishReason = true
	}
}

// digit takes a byte of a number, or ends it and reports false.
func (m *members) digit(c byte) bool {
	switch {
	case '0' <= c && c <= '9':
		if m.number = m.number*10 + int64(c-'0'); m.number > maxCount {
			m.number, m.whole = 0, false
		}
		return true
	case c == '-', c == '+', c == '.', c == 'e', c == 'E':
		m.whole = false
		return true
	}
	m.endNumber()
	return false
}

func (m *members) endNumber() {
	m.state = inStructure
	if m.at(keyError) && m.number != 0 {
		m.found.failed = true
	}
	if m.usageAt == 0 || !m.whole || m.depth > levels {
		return
	}
	switch k := m.keys[m.depth]; {
	case m.depth == m.usageAt+1:
		m.found.usage.set(k, m.number)
	case m.depth == m.usageAt+2 && m.keys[m.depth-1] == keyTokenDetails && (k == keyCachedTokens || k == keyReasoningTokens):
		m.found.usage.set(k, m.number)
	}
}
