package wire

import "bytes"

// Format is how an answer's body is made.
type Format uint8

// The formats of answers. FormatOpaque is not looked into.
const (
	FormatOpaque Format = iota
	FormatJSON
	FormatSSE
)

// Scanner follows an answer while it is relayed. It sees the slices that the
// client gets, in any chunking, and keeps counts and a few names, never text.
// Make it ready with Reset; it does not allocate.
type Scanner struct {
	dialect Dialect
	format  Format
	json    members

	// what was found
	usage        Usage
	model        name
	ended        bool
	failed       bool
	finishReason bool
	finished     bool // Finish was called
	events       int64

	// server-sent events (HTML standard, section 9.2)
	line     lineState
	afterCR  bool // the last byte was CR: an LF behind it belongs to it
	bom      int  // bytes of a byte order mark seen at the start; -1 when past
	field    short
	pending  bool // a field of an unfinished event was seen
	hasData  bool
	data     short // the first bytes of the event's data
	event    short // its name
	terminal bool  // its type ends the stream
}

// short holds the first bytes of something that matters only while it is
// short.
type short struct {
	b [32]byte // longer than any event's name that is looked for
	n int
}

func (s *short) add(p []byte) {
	if s.n < len(s.b) {
		copy(s.b[s.n:], p)
	}
	s.n = min(s.n+len(p), len(s.b)+1)
}

func (s *short) bytes() []byte {
	if s.n > len(s.b) {
		return nil
	}
	return s.b[:s.n]
}

type lineState uint8

const (
	lineField lineState = iota // reading a field's name
	lineSpace                  // behind its colon
	lineData
	lineEvent
	lineOther
)

const doneMark = "[DONE]"

// name is a short string that a provider sent, kept if it is an identifier.
type name struct {
	b [maxNameBytes]byte
	n int
}

func (s *name) set(b []byte) {
	for _, c := range b {
		if !identifierByte(c) {
			return
		}
	}
	if len(b) > 0 {
		s.n = copy(s.b[:], b)
	}
}

func identifierByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == ':' || c == '/' || c == '@' || c == '+' || c == '-'
}

// Reset begins a new answer.
func (s *Scanner) Reset(d Dialect, f Format) {
	*s = Scanner{dialect: d, format: f}
	s.json.found = s
}

// Write looks at the next bytes of the answer. It does not keep p.
func (s *Scanner) Write(p []byte) {
	switch s.format {
	case FormatJSON:
		s.json.write(p)
	case FormatSSE:
		s.lines(p)
	}
}

// Finish says that the answer's bytes are over.
func (s *Scanner) Finish() {
	s.finished = true
	switch s.format {
	case FormatJSON:
		s.json.finish()
	case FormatSSE:
		s.dispatch()
	}
}

// Usage is what the provider has reported so far.
func (s *Scanner) Usage() Usage { return s.usage }

// Model is the model that the provider says it used, at most 128 bytes of
// letters, digits and ._:/@+-; empty when unknown. It is borrowed until Reset.
func (s *Scanner) Model() []byte { return s.model.b[:s.model.n] }

// Events counts the server-sent events that carried data.
func (s *Scanner) Events() int64 { return s.events }

// Failed reports whether the provider itself said, inside the answer, that it
// failed.
func (s *Scanner) Failed() bool { return s.failed }

// Ended reports whether the end was real. A stream ends with its dialect's
// last event; since some providers leave out [DONE], a finish reason and the
// end of the bytes count as well. Where no last event is known, the end of the
// bytes has to do.
func (s *Scanner) Ended() bool {
	switch {
	case s.format == FormatJSON:
		return s.json.ended
	case s.format == FormatOpaque, s.dialect == DialectNone, s.dialect == DialectEmbeddings:
		return s.finished || s.ended
	}
	return s.ended || s.failed || s.finished && s.finishReason
}

// BetweenEvents reports whether an event of ours may stand here.
func (s *Scanner) BetweenEvents() bool {
	return !s.pending && s.line == lineField && s.field.n == 0
}

// named takes an event's type, from its event field or its data.
func (s *Scanner) named(event []byte) {
	switch string(event) {
	case "response.completed", "response.incomplete", "message_stop":
		s.terminal = true
	case "response.failed", "error":
		s.terminal, s.failed = true, true
	}
}

// lines reads the lines of a stream, as much of each as p has.
func (s *Scanner) lines(p []byte) {
	for len(p) > 0 {
		if s.afterCR {
			s.afterCR = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		if s.bom >= 0 && s.skipBOM(p[0]) {
			p = p[1:]
			continue
		}
		switch s.line {
		case lineField:
			s.fieldByte(p[0])
			p = p[1:]
		case lineSpace:
			s.line = s.lineKind()
			if p[0] == ' ' {
				p = p[1:]
			}
		default:
			p = s.value(p)
		}
	}
}

// skipBOM passes over a byte order mark at the very start.
func (s *Scanner) skipBOM(c byte) bool {
	const mark = "\xef\xbb\xbf"
	if s.bom < len(mark) && c == mark[s.bom] {
		s.bom++
		return true
	}
	s.bom = -1
	return false
}

func (s *Scanner) fieldByte(c byte) {
	switch c {
	case '\n', '\r':
		s.endLine(c)
	case ':':
		s.line = lineSpace
	default:
		s.field.add([]byte{c})
	}
}

// lineKind says what the line's value is, by the field's name. A line without
// a name is a comment.
func (s *Scanner) lineKind() lineState {
	s.pending = s.pending || s.field.n > 0
	switch string(s.field.bytes()) {
	case "data":
		if s.hasData {
			s.json.write([]byte{'\n'}) // lines of data are joined by a line feed
			s.data.add([]byte{'\n'})
		}
		s.hasData = true
		return lineData
	case "event":
		s.event.n = 0
		return lineEvent
	}
	return lineOther
}

// endLine ends a line; an empty one ends the event.
func (s *Scanner) endLine(c byte) {
	s.afterCR = c == '\r'
	empty := s.line == lineField && s.field.n == 0
	if s.line == lineField && s.field.n > 0 {
		s.pending = true // a field without a value
	}
	s.line, s.field.n = lineField, 0
	if empty {
		s.dispatch()
	}
}

// dispatch ends an event.
func (s *Scanner) dispatch() {
	if s.hasData {
		s.json.finish()
		s.events++
		s.named(s.event.bytes())
		s.ended = s.ended || s.terminal || string(s.data.bytes()) == doneMark
	}
	s.json.reset()
	s.pending, s.hasData, s.terminal = false, false, false
	s.data.n, s.event.n = 0, 0
}

// value takes the rest of a line, as far as p has it, and gives back what
// follows.
func (s *Scanner) value(p []byte) []byte {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		end = len(p)
	}
	if cr := bytes.IndexByte(p[:end], '\r'); cr >= 0 {
		end = cr
	}
	switch s.line {
	case lineData:
		s.data.add(p[:end])
		s.json.write(p[:end])
	case lineEvent:
		s.event.add(p[:end])
	}
	if end == len(p) {
		return nil
	}
	s.endLine(p[end])
	return p[end+1:]
}
