package load

import (
	"bytes"
	"errors"
	"strconv"
)

// parser reads HTTP/1.1 messages, requests or answers, from what arrives. It
// knows what gateways send, and refuses the rest.
type parser struct {
	head    []byte // until it is whole
	status  int    // of an answer
	closes  bool   // the sender ends the connection behind the message
	phase   phase
	left    int64  // bytes of the body, or of the chunk
	digits  []byte // of a chunk's size, or a trailer's line
	unended bool   // the body goes until the connection ends
}

type phase uint8

const (
	inHead phase = iota
	inBody
	inSize
	inChunk
	inChunkEnd
	inTrailer
)

var (
	errMessage = errors.New("a message that is not HTTP/1.1")
	endOfHead  = []byte("\r\n\r\n")
)

// feed takes bytes and hands those of the body on. It stops behind a message
// and returns what is left, and true.
func (p *parser) feed(b []byte, body func([]byte)) (rest []byte, whole bool, err error) {
	for len(b) > 0 {
		switch p.phase {
		case inHead:
			if b, whole, err = p.readHead(b); err != nil || whole {
				return b, whole, err
			}
		case inBody, inChunk:
			n := len(b)
			if !p.unended {
				n = int(min(p.left, int64(n)))
				p.left -= int64(n)
			}
			body(b[:n])
			b = b[n:]
			if p.left == 0 && !p.unended {
				if p.phase == inBody {
					p.phase = inHead
					return b, true, nil
				}
				p.phase = inChunkEnd
			}
		case inChunkEnd, inSize, inTrailer:
			if b, whole, err = p.readLine(b); err != nil || whole {
				return b, whole, err
			}
		}
	}
	return nil, false, nil
}

// readHead takes what belongs to the head.
func (p *parser) readHead(b []byte) (rest []byte, whole bool, err error) {
	had := len(p.head)
	p.head = append(p.head, b...)
	end := bytes.Index(p.head[max(0, had-len(endOfHead)):], endOfHead)
	if end < 0 {
		return nil, false, nil
	}
	end += max(0, had-len(endOfHead)) + len(endOfHead)
	rest = b[end-had:]
	err = p.readFields(p.head[:end])
	p.head = p.head[:0]
	if err != nil {
		return nil, false, err
	}
	if p.phase == inBody && p.left == 0 && !p.unended {
		p.phase = inHead
		return rest, true, nil
	}
	return rest, false, nil
}

func (p *parser) readFields(head []byte) (err error) {
	first, fields, _ := bytes.Cut(head, []byte("\r\n"))
	p.status, p.left, p.closes, p.phase = 0, 0, false, inBody
	if answer, ok := bytes.CutPrefix(first, []byte("HTTP/1.1 ")); ok && len(answer) >= 3 {
		if p.status, err = strconv.Atoi(string(answer[:3])); err != nil {
			return errMessage
		}
	} else if !bytes.HasSuffix(first, []byte(" HTTP/1.1")) {
		return errMessage
	}
	p.unended = p.status != 0
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if p.left, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return errMessage
			}
			p.unended = false
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			p.phase, p.unended = inSize, false
		case bytes.EqualFold(name, []byte("Connection")):
			p.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	return nil
}

// readLine takes what is between the chunks of a body.
func (p *parser) readLine(b []byte) (rest []byte, whole bool, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		p.digits = append(p.digits, b...)
		return nil, false, nil
	}
	line := bytes.TrimSpace(append(p.digits, b[:end]...))
	p.digits, b = p.digits[:0], b[end+1:]
	switch p.phase {
	case inChunkEnd:
		p.phase = inSize
	case inTrailer:
		if len(line) == 0 {
			p.phase = inHead
			return b, true, nil
		}
	default:
		size, _, _ := bytes.Cut(line, []byte(";"))
		if p.left, err = strconv.ParseInt(string(size), 16, 64); err != nil {
			return nil, false, errMessage
		}
		p.phase = inChunk
		if p.left == 0 {
			p.phase = inTrailer
		}
	}
	return b, false, nil
}
