// Package transcript reads what the assistant says out of a provider's answer
// while the answer is relayed, whatever the pieces it comes in.
package transcript

import (
	"bytes"
	"encoding/json"

	"github.com/ownkey/ownkey/wire"
)

// maxEventBytes bounds one event, or one JSON answer, that is held until it is
// whole. What is longer is given up.
const maxEventBytes = 4 << 20

// Transcript collects the text of one answer. Reset makes it ready. It is not
// safe for concurrent use.
type Transcript struct {
	dialect wire.Dialect
	format  wire.Format
	most    int

	line    []byte // of a stream, as far as it came
	data    []byte // of an event, or the JSON answer
	hasData bool
	value   outline // of the JSON answer
	whole   bool    // the JSON answer was read; what follows it is not looked at
	skipLF  bool

	text      []byte
	told      int // of text, by Delta
	truncated bool
}

// Reset begins a new answer; most bounds the text that is kept, in bytes.
func (t *Transcript) Reset(d wire.Dialect, f wire.Format, most int) {
	*t = Transcript{dialect: d, format: f, most: most, line: t.line[:0], data: t.data[:0], text: t.text[:0]}
}

// Write looks at the next bytes of the answer. It keeps no reference to p.
func (t *Transcript) Write(p []byte) {
	switch {
	case t.truncated, t.whole:
	case t.format == wire.FormatJSON:
		t.json(p)
	case t.format == wire.FormatSSE:
		t.lines(p)
	}
}

// Text is what the assistant said so far. It is valid until the next Write or
// Reset.
func (t *Transcript) Text() wire.Text {
	return wire.NewText(&t.text)
}

// Delta is what was said since the last call of Delta, valid until the next
// Write.
func (t *Transcript) Delta() []byte {
	p := t.text[t.told:]
	t.told = len(t.text)
	return p
}

// Truncated reports whether there was more than is kept.
func (t *Transcript) Truncated() bool { return t.truncated }

func (t *Transcript) giveUp() {
	t.truncated = true
	t.line, t.data = nil, nil
}

// json keeps a JSON answer until it is whole, and reads it once. Only the first
// value is the answer: whether another one came with it must not depend on the
// pieces.
func (t *Transcript) json(p []byte) {
	n, whole := t.value.follow(p)
	if len(t.data)+n > maxEventBytes {
		t.giveUp()
		return
	}
	t.data = append(t.data, p[:n]...)
	if t.whole = whole; whole {
		t.answer(t.data)
		t.data = t.data[:0]
	}
}

// outline knows of a JSON object or array, while its bytes come, where it ends.
type outline struct {
	depth    int
	inString bool
	escaped  bool
}

// follow reads on, and gives how many bytes of p belong to the value and
// whether the last of them ends it.
func (o *outline) follow(p []byte) (n int, whole bool) {
	for i, c := range p {
		switch {
		case o.escaped:
			o.escaped = false
		case o.inString:
			o.escaped, o.inString = c == '\\', c != '"'
		case c == '"':
			o.inString = true
		case c == '{' || c == '[':
			o.depth++
		case c == '}' || c == ']':
			if o.depth--; o.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(p), false
}

// lines reads a stream (HTML standard, section 9.2). CR, LF and CRLF end a
// line.
func (t *Transcript) lines(p []byte) {
	for len(p) > 0 && !t.truncated {
		if t.skipLF && p[0] == '\n' {
			p = p[1:]
		}
		t.skipLF = false
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			t.keep(&t.line, p)
			return
		}
		t.keep(&t.line, p[:end])
		t.skipLF = p[end] == '\r'
		p = p[end+1:]
		t.endLine()
	}
}

func (t *Transcript) keep(to *[]byte, p []byte) {
	if len(*to)+len(p) > maxEventBytes {
		t.giveUp()
		return
	}
	*to = append(*to, p...)
}

func (t *Transcript) endLine() {
	line := bytes.TrimPrefix(t.line, []byte("\xef\xbb\xbf"))
	t.line = t.line[:0]
	if len(line) == 0 {
		if t.hasData {
			t.event(t.data)
		}
		t.data, t.hasData = t.data[:0], false
		return
	}
	value, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		return
	}
	value = bytes.TrimPrefix(value, []byte(" "))
	if t.hasData {
		t.keep(&t.data, []byte{'\n'})
	}
	t.keep(&t.data, value)
	t.hasData = true
}

// say adds to the text. Behind what was left out nothing is added: the text
// would have a gap.
func (t *Transcript) say(s string) {
	if t.truncated || len(t.text)+len(s) > t.most {
		t.truncated = true
		return
	}
	t.text = append(t.text, s...)
}

// event reads one event of a stream. Tool calls, reasoning and what is not
// JSON say nothing.
func (t *Transcript) event(data []byte) {
	switch t.dialect {
	case wire.DialectChat:
		var e struct {
			Choices []struct {
				Index int `json:"index"`
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		if json.Unmarshal(data, &e) != nil {
			return
		}
		for _, c := range e.Choices {
			if c.Index == 0 {
				t.say(c.Delta.Content)
			}
		}
	case wire.DialectResponses:
		var e struct {
			Type  string `json:"type"`
			Delta string `json:"delta"`
		}
		if json.Unmarshal(data, &e) == nil && e.Type == "response.output_text.delta" {
			t.say(e.Delta)
		}
	case wire.DialectMessages:
		var e struct {
			Type  string `json:"type"`
			Delta struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"delta"`
		}
		if json.Unmarshal(data, &e) == nil && e.Type == "content_block_delta" && e.Delta.Type == "text_delta" {
			t.say(e.Delta.Text)
		}
	}
}

// part is a piece of a message's content.
type part struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Content []part `json:"content"`
}

// answer reads an answer that is one JSON value.
func (t *Transcript) answer(data []byte) {
	var a struct {
		Choices []struct {
			Message struct {
				Content json.RawMessage `json:"content"`
			} `json:"message"`
		} `json:"choices"`
		Output  []part          `json:"output"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(data, &a) != nil {
		return
	}
	switch {
	case t.dialect == wire.DialectChat && len(a.Choices) > 0:
		t.content(a.Choices[0].Message.Content, "text")
	case t.dialect == wire.DialectMessages:
		t.content(a.Content, "text")
	case t.dialect == wire.DialectResponses:
		for _, item := range a.Output {
			if item.Type == "message" {
				t.parts(item.Content, "output_text")
			}
		}
	}
}

// content reads a content that is a string or a list of parts.
func (t *Transcript) content(raw json.RawMessage, kind string) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		t.say(text)
		return
	}
	var all []part
	if json.Unmarshal(raw, &all) == nil {
		t.parts(all, kind)
	}
}

func (t *Transcript) parts(all []part, kind string) {
	for _, p := range all {
		if p.Type == kind {
			t.say(p.Text)
		}
	}
}
