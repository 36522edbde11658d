package front

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// maxChunkLine bounds the line before a chunk, its extensions included; those
	// that sign chunks (AWS) are below 100 bytes.
	maxChunkLine = 1 << 10
	// maxTrailerBytes bounds the lines behind the last chunk.
	maxTrailerBytes = 8 << 10
)

// ErrBroken is a body that is not what its framing says.
var ErrBroken = errors.New("broken body")

// body is a request's body, for ctx.RequestBodyStream. Its end is io.EOF, and
// io.ErrUnexpectedEOF where the client left before it.
type body struct {
	c       *Conn
	br      *bufio.Reader
	left    int64 // of a body with a length, or of the chunk
	chunked bool
	begun   bool // a chunk was read
	expects bool // the client waits for 100 Continue
	err     error
}

func (b *body) begin(br *bufio.Reader, length int, expects bool) {
	*b = body{c: b.c, br: br, left: int64(max(0, length)), chunked: length < 0, expects: expects}
	if length == 0 {
		b.err = io.EOF
	}
}

// whole reports whether the body was read to its end, so that the next request
// follows.
func (b *body) whole() bool { return b.err == io.EOF }

// Read reads from the body.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.expects {
		b.expects = false
		if b.err = b.c.proceed(); b.err != nil {
			return 0, b.err
		}
	}
	if b.chunked && b.left == 0 {
		if b.err = b.nextChunk(); b.err != nil {
			return 0, b.err
		}
	}
	n, err := b.br.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case err == io.EOF:
		b.err = io.ErrUnexpectedEOF
	case err != nil:
		b.err = err
	case b.left == 0 && !b.chunked:
		b.err = io.EOF
	}
	return n, b.err
}

// nextChunk reads what is between two chunks, or the body's end.
func (b *body) nextChunk() error {
	if b.begun {
		if _, err := b.line(len("\r\n")); err != nil {
			return err
		}
	}
	b.begun = true
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	if b.left, err = chunkSize(line); err != nil || b.left > 0 {
		return err
	}
	return b.trailers()
}

// trailers reads and drops the fields behind the last chunk: what is not
// announced in the head is nobody's to believe (RFC 9110, section 6.5.1).
func (b *body) trailers() error {
	for left := maxTrailerBytes; ; {
		line, err := b.line(left)
		switch {
		case err != nil:
			return err
		case len(line) == 0:
			return io.EOF
		case !field(line):
			return ErrBroken
		}
		left -= len(line) + len("\r\n")
	}
}

// line reads a line of at most that many bytes, and gives it without its end,
// which is CR and LF. It is valid until the next read.
func (b *body) line(most int) ([]byte, error) {
	line, err := b.br.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil && !errors.Is(err, bufio.ErrBufferFull):
		return nil, err
	case err != nil, len(line) > most, len(line) < 2, line[len(line)-2] != '\r':
		return nil, ErrBroken
	}
	return line[:len(line)-2], nil
}

// chunkSize reads hexadecimal digits, and extensions behind a semicolon, which
// are dropped.
func chunkSize(line []byte) (size int64, err error) {
	digits, extensions, _ := bytes.Cut(line, []byte(";"))
	if digits = bytes.TrimRight(digits, " \t"); len(digits) == 0 || len(digits) > 15 {
		return 0, ErrBroken
	}
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, ErrBroken
		}
		size = size<<4 | int64(c)
	}
	for _, c := range extensions {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, ErrBroken
		}
	}
	return size, nil
}
