package wire

import (
	"bytes"

	"github.com/ownkey/ownkey/internal/fault"
)

// Format is how an answer's body is made.
type Format uint8

// The formats of answers. FormatOpaque is not looked into.
const (
	FormatOpaque Format = iota
	FormatJSON
	FormatSSE
	FormatLines // a JSON value on each line: the results of a batch
)

// Scanner follows an answer while it is relayed. It sees the slices that the
// client gets, in any chunking, and keeps counts and a few names, never text.
// What a JSON value says counts once the value is whole: an answer that was
// cut, or is not JSON, leaves unknown what it did not say to the end. Make it
// ready with Reset; it does not allocate. One goroutine at a time.
type Scanner struct {
	dialect  Dialect
	format   Format
	rules    UsageRules
	finished bool // Finish was called
	json     members

	// what was found
	usage        reported
	model        name
	id           identity
	deferred     bool // id names a request
	status       state
	background   bool
	ended        bool
	failed       bool
	finishReason bool
	events       int64
	text         int64 // bytes, of all events
	repeated     int64 // bytes of the longest event that repeats text

	// server-sent events (HTML standard, section 9.2)
	line    lineState
	hasCR   bool // the bytes being read have a CR somewhere
	afterCR bool // the last byte was CR: an LF behind it belongs to it
	bom     int  // bytes of a byte order mark seen at the start; -1 when past
	field   short
	pending bool // a field of an unfinished event was seen
	hasData bool
	data    int64 // bytes of its data
	done    int   // bytes of its data that are those of [DONE]; -1 when it is something else
	event   short // its name
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

// Reset begins a new answer.
func (s *Scanner) Reset(d Dialect, f Format) { *s = Scanner{dialect: d, format: f} }

// SetRules says how the provider counts. It is called between Reset and Usage.
func (s *Scanner) SetRules(r UsageRules) { s.rules = r }

// Write looks at the next bytes of the answer. It does not keep p.
func (s *Scanner) Write(p []byte) {
	fault.At("wire.scanner")
	switch s.format {
	case FormatJSON:
		s.value(p)
	case FormatLines:
		s.results(p)
	case FormatSSE:
		s.hasCR = bytes.IndexByte(p, '\r') >= 0
		s.lines(p)
	}
}

// Finish says that the answer's bytes are over. A last event counts without
// its blank line if its data is whole. BetweenEvents stays as it was: what the
// client has seen has not changed.
func (s *Scanner) Finish() {
	if s.finished {
		return
	}
	s.finished = true
	switch s.format {
	case FormatJSON:
		s.json.finish()
	case FormatLines:
		s.takeResult()
	case FormatSSE:
		if s.hasData && (s.json.whole() || s.isDone()) {
			s.evaluate()
		}
	}
}

// Usage is what the provider has reported so far.
func (s *Scanner) Usage() Usage { return s.usage.by(s.dialect, s.rules) }

// ID is the answer's own id, at most 512 bytes of letters, digits and ._:/@+-=; empty
// when unknown. It is borrowed until Reset.
func (s *Scanner) ID() []byte {
	if s.deferred {
		return nil
	}
	return s.id.bytes()
}

// DeferredID is the id that an answer has in place of its own: that of a request
// whose answer is to be fetched later (xAI's deferred completions).
func (s *Scanner) DeferredID() []byte {
	if !s.deferred {
		return nil
	}
	return s.id.bytes()
}

// Over reports whether the answer is a response or batch that says of itself
// that the provider has ended it.
func (s *Scanner) Over() bool {
	return s.status == stateOver || s.format == FormatSSE && s.ended
}

// GoesOn reports whether the provider works on although the answer has ended:
// it is a response or batch that is not over, or the stream of a response that
// was cut, if that runs in the background. It does if the answer says so, or if
// it was asked for.
func (s *Scanner) GoesOn(asked bool) bool {
	if s.format == FormatSSE {
		return (s.background || asked) && !s.Over()
	}
	return s.status == stateOpen
}

// TextBytes is how much text the events so far have brought, in bytes as they
// are written: the strings in members that carry text, every other string of
// more than 128 bytes, and data that is not JSON. An unfinished event counts as
// far as it came. Events that say again what others have said count only as far
// as they say more.
func (s *Scanner) TextBytes() int64 {
	return max(s.text+s.unfinished(), s.repeated)
}

// unfinished is the text of the event that is being read.
func (s *Scanner) unfinished() int64 {
	switch {
	case s.format != FormatSSE || !s.hasData || s.isDone():
		return 0
	case s.json.state == broken:
		return s.data
	}
	return s.json.textBytes()
}

// Model is the model that the provider says it used, at most 128 bytes of
// letters, digits and ._:/@+-; empty when unknown. It is borrowed until Reset.
func (s *Scanner) Model() []byte { return s.model.bytes() }

// Events counts the server-sent events that carried data.
func (s *Scanner) Events() int64 { return s.events }

// Failed reports whether the provider itself said, inside the answer, that it
// failed.
func (s *Scanner) Failed() bool { return s.failed }

// Ended reports whether the end was real. A stream ends with its dialect's
// last event; since some providers leave out [DONE], a finish reason and the
// end of the bytes count as well. Where no last event is known, the end of the
// bytes has to do. A JSON answer ends where its value is whole.
func (s *Scanner) Ended() bool {
	switch {
	case s.format == FormatJSON:
		return s.json.whole()
	case s.format == FormatOpaque, s.format == FormatLines, s.dialect == DialectNone, s.dialect == DialectEmbeddings:
		return s.finished || s.ended
	}
	return s.ended || s.finished && s.finishReason
}

// Unfinished reports whether the answer is a JSON value that has begun and not
// ended. What is not JSON is never unfinished.
func (s *Scanner) Unfinished() bool { return s.format == FormatJSON && s.json.begun() }

// BetweenEvents reports whether an event of ours may stand here: the client
// has seen nothing of an unfinished one.
func (s *Scanner) BetweenEvents() bool {
	return !s.pending && s.line == lineField && s.field.n == 0
}

// value reads an answer that is one JSON value.
func (s *Scanner) value(p []byte) {
	if s.json.whole() {
		return
	}
	if s.json.write(p); s.json.whole() {
		s.take(&s.json.found)
	}
}

// results reads an answer with a JSON value on each line.
func (s *Scanner) results(p []byte) {
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.json.write(p)
			return
		}
		s.json.write(p[:end])
		s.takeResult()
		p = p[end+1:]
	}
}

// takeResult adds what a line reports: each is of a call of its own. Its input has
// the cached input in it, in which Anthropic leaves it out.
func (s *Scanner) takeResult() {
	if s.json.whole() {
		u := s.json.found.usage.by(DialectMessages, s.rules)
		s.usage.Input.add(u.Input.N + u.CachedInput.N + u.CacheWrite.N)
		s.usage.Output.add(u.Output.N)
		s.usage.CachedInput.add(u.CachedInput.N)
		s.usage.CacheWrite.add(u.CacheWrite.N)
	}
	s.json.reset()
}

// take counts what a whole JSON value says.
func (s *Scanner) take(f *findings) {
	s.usage.merge(&f.usage)
	if f.model.n > 0 {
		s.model = f.model
	}
	if f.id.n > 0 {
		s.id, s.deferred = f.id, f.deferred
	}
	if f.status != stateUnknown {
		s.status = f.status
	}
	s.background = s.background || f.background
	s.finishReason = s.finishReason || f.finished
	s.end(f.end)
	if f.failed {
		s.end(endsFailed)
	}
}

// end takes what an event's type says about the stream.
func (s *Scanner) end(e ending) {
	s.ended = s.ended || e != goesOn
	s.failed = s.failed || e == endsFailed
}

// evaluate counts an event with data. Its type may stand in its event field or
// in its data.
func (s *Scanner) evaluate() {
	s.events++
	if s.dialect == DialectResponses && s.json.whole() && !s.json.found.delta {
		s.repeated = max(s.repeated, s.json.found.text) // the whole text again, at the end of each part
	} else {
		s.text += s.unfinished()
	}
	s.end(endingOf(s.event.bytes()))
	s.ended = s.ended || s.isDone()
	if s.json.whole() {
		s.take(&s.json.found)
	}
}

func (s *Scanner) isDone() bool { return s.done == len(doneMark) }

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
			p = s.fieldName(p)
		case lineSpace:
			s.line = s.lineKind()
			if p[0] == ' ' {
				p = p[1:]
			}
		default:
			p = s.fieldValue(p)
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

// fieldName takes a field's name, as far as p has it, and gives back what
// follows.
func (s *Scanner) fieldName(p []byte) []byte {
	for i, c := range p {
		if c != ':' && c != '\n' && c != '\r' {
			continue
		}
		s.field.add(p[:i])
		if c == ':' {
			s.line = lineSpace
		} else {
			s.endLine(c)
		}
		return p[i+1:]
	}
	s.field.add(p)
	return nil
}

// lineKind says what the line's value is, by the field's name. A line without
// a name is a comment.
func (s *Scanner) lineKind() lineState {
	s.pending = s.pending || s.field.n > 0
	switch string(s.field.bytes()) {
	case "data":
		if s.hasData {
			s.addData([]byte{'\n'}) // lines of data are joined by a line feed
		}
		s.hasData = true
		return lineData
	case "event":
		s.event.n = 0
		return lineEvent
	}
	return lineOther
}

// addData reads a part of an event's data.
func (s *Scanner) addData(p []byte) {
	s.data += int64(len(p))
	for i := 0; i < len(p) && s.done >= 0; i++ {
		if s.done < len(doneMark) && p[i] == doneMark[s.done] {
			s.done++
		} else {
			s.done = -1
		}
	}
	s.json.write(p)
}

// fieldValue takes the rest of a line, as far as p has it, and gives back what
// follows.
func (s *Scanner) fieldValue(p []byte) []byte {
	end := s.lineEnd(p)
	rest := p[min(end+1, len(p)):]
	switch s.line {
	case lineData:
		s.addData(p[:end])
	case lineEvent:
		s.event.add(p[:end])
	}
	if end < len(p) {
		s.endLine(p[end])
	}
	return rest
}

// lineEnd finds the first LF or CR. Most streams have no CR: looking for it
// line by line would read the whole chunk each time.
func (s *Scanner) lineEnd(p []byte) int {
	var end int
	if s.hasCR {
		end = bytes.IndexAny(p, "\r\n")
	} else {
		end = bytes.IndexByte(p, '\n')
	}
	if end < 0 {
		return len(p)
	}
	return end
}

// endLine ends a line; an empty one ends the event.
func (s *Scanner) endLine(c byte) {
	s.afterCR = c == '\r'
	empty := s.line == lineField && s.field.n == 0
	s.pending = s.pending || s.line == lineField && !empty // a field without a value
	s.line, s.field.n = lineField, 0
	if empty {
		s.endEvent()
	}
}

func (s *Scanner) endEvent() {
	if s.hasData {
		s.evaluate()
		s.json.reset()
	}
	s.pending, s.hasData = false, false
	s.done, s.data, s.event.n = 0, 0, 0
}
