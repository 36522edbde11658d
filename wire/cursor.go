package wire

import "bytes"

// cursor walks the members of an object, or the elements of an array, of a body
// that ReadHead has accepted: what it meets is valid.
type cursor struct {
	b []byte
	i int
}

// enter stands behind the opening bracket at start.
func enter(b []byte, start int) cursor { return cursor{b, start + 1} }

// span is where a value stands.
type span struct{ start, end int }

func (s span) of(b []byte) []byte { return b[s.start:s.end] }

func (s span) empty() bool { return s.end == 0 }

// member gives the next member: its decoded name and where its value stands.
// ok is false at the object's end.
func (c *cursor) member() (name []byte, value span, ok bool) {
	key, ok := c.element()
	if !ok {
		return nil, span{}, false
	}
	c.space()
	c.i++ // the colon
	c.space()
	start := c.i
	c.i = valueEnd(c.b, start)
	return unescape(c.b[key.start+1 : key.end-1]), span{start, c.i}, true
}

// element gives the next element. ok is false at the end of the array.
func (c *cursor) element() (value span, ok bool) {
	c.space()
	if c.b[c.i] == ',' {
		c.i++
		c.space()
	}
	if c.b[c.i] == ']' || c.b[c.i] == '}' {
		return span{}, false
	}
	start := c.i
	c.i = valueEnd(c.b, start)
	return span{start, c.i}, true
}

func (c *cursor) space() {
	for c.b[c.i] == ' ' || c.b[c.i] == '\t' || c.b[c.i] == '\n' || c.b[c.i] == '\r' {
		c.i++
	}
}

// valueEnd finds the end of the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return bracketEnd(b, i)
	}
	if n := bytes.IndexAny(b[i:], ",]} \t\r\n"); n >= 0 {
		return i + n
	}
	return len(b)
}

// stringEnd finds the end of the string whose quote is at i.
func stringEnd(b []byte, i int) int {
	for i++; ; i += 2 {
		i += plain(b[i:])
		if b[i] == '"' {
			return i + 1
		}
	}
}

// bracketEnd finds the end of the array or object that opens at i.
func bracketEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
