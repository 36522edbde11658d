package upstream

// chunkedReader takes the chunk framing out of a body (RFC 9112, section 7.1),
// a byte at a time between the data, so that any split of the input gives the
// same output. It keeps no bytes.
type chunkedReader struct {
	state chunkState
	left  int64 // data bytes of the current chunk still to come
	size  int64 // chunk size being read
	seen  int   // bytes of the current line
}

type chunkState uint8

const (
	chunkSizeFirst chunkState = iota // first digit of a size
	chunkSize                        // further digits
	chunkExtension                   // behind ';', up to CR
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // at the start of a line behind the last chunk
	trailerLine
	trailerLF
	finalLF
	chunkEnded
	chunkBroken // the framing made no sense; what came before it did
)

const (
	// maxChunkBytes keeps sizes far from overflow: 2^40 is more than any answer.
	maxChunkBytes = 1 << 40
	// maxLineBytes bounds a chunk's extension, and all trailers together.
	maxLineBytes = 8 << 10
)

func (c *chunkedReader) ended() bool  { return c.state == chunkEnded }
func (c *chunkedReader) broken() bool { return c.state == chunkBroken }

// consumed accounts for data of the current chunk that was read elsewhere.
func (c *chunkedReader) consumed(n int64) {
	c.left -= n
	if c.left == 0 {
		c.state = chunkDataCR
	}
}

// unframe moves the data in b to its front. It returns how much data there is
// and how many bytes of b were used: all of them, unless the body ended or the
// framing broke.
func (c *chunkedReader) unframe(b []byte) (ready, used int) {
	for used < len(b) && c.state < chunkEnded {
		if c.state == chunkData {
			n := int(min(int64(len(b)-used), c.left))
			copy(b[ready:], b[used:used+n])
			ready, used = ready+n, used+n
			c.consumed(int64(n))
			continue
		}
		if !c.step(b[used]) {
			c.state = chunkBroken
			break
		}
		used++
	}
	return ready, used
}

// step takes one byte of framing and reports whether it may stand there.
func (c *chunkedReader) step(b byte) bool {
	c.seen++
	if c.seen > maxLineBytes {
		return false
	}
	switch c.state {
	case chunkSizeFirst, chunkSize:
		return c.stepSize(b)
	case chunkExtension:
		if b == '\r' {
			c.state = chunkSizeLF
		}
		return b != '\n'
	case chunkSizeLF:
		c.beginChunk()
		return b == '\n'
	case chunkDataCR:
		c.state = chunkDataLF
		return b == '\r'
	case chunkDataLF:
		c.state, c.size, c.seen = chunkSizeFirst, 0, 0
		return b == '\n'
	default:
		return c.stepTrailer(b)
	}
}

func (c *chunkedReader) stepSize(b byte) bool {
	digit := hexDigit(b)
	switch {
	case digit >= 0:
		c.state, c.size = chunkSize, c.size<<4|int64(digit)
		return c.size <= maxChunkBytes
	case c.state == chunkSizeFirst:
		return false
	case b == '\r':
		c.state = chunkSizeLF
		return true
	case b == ';', b == ' ', b == '\t':
		c.state = chunkExtension
		return true
	}
	return false
}

func (c *chunkedReader) beginChunk() {
	c.left, c.seen = c.size, 0
	if c.size == 0 {
		c.state = trailerStart
		return
	}
	c.state = chunkData
}

// stepTrailer drops the lines behind the last chunk.
func (c *chunkedReader) stepTrailer(b byte) bool {
	switch c.state {
	case trailerStart:
		c.state = trailerLine
		if b == '\r' {
			c.state = finalLF
		}
		return b != '\n'
	case trailerLine:
		if b == '\r' {
			c.state = trailerLF
		}
		return b != '\n'
	case trailerLF:
		c.state = trailerStart
		return b == '\n'
	default: // finalLF
		c.state = chunkEnded
		return b == '\n'
	}
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
