package wire

import (
	"bytes"
	"errors"
	"unicode"
)

// ErrNoConversation is a body that has no place for a block: of another
// dialect, of a shape that we do not know, or without a turn of the user.
var ErrNoConversation = errors.New("no conversation that a block could be put into")

// Marker is how a block of ours begins and ends in a text.
type Marker struct{ Open, Close []byte }

// Conversation is what memory needs of a request for a chat completion, a
// response or a message: what the user asks, and where a block may stand. It
// keeps its buffers from one Read to the next. It borrows the body until Reset.
type Conversation struct {
	body     []byte
	dialect  Dialect
	mark     Marker
	list     span // messages or input
	cache    span // the body's own cache_control, of messages
	system   span // the prompt that stands beside the messages
	told     span // the one that stands first among them
	cacheKey span // what may name the conversation, each a string; likewise
	talk     span
	previous span
	userID   span
	last     message
	spoken   message // the last that is no instruction: clients put system messages behind the user's turn
	asked    message // the last that has a text of the user
	opened   bool    // opening is the first such text
	user     message // the last of the user, with or without text
	toolLast bool    // behind user stands what a tool has said
	place    place

	question []byte
	own      int // where the last part of the question begins
	before   []byte
	opening  []byte
	scratch  []byte
	seam     []byte
	parts    [3][]byte // what the edits put in
	edits    [3]Edit
}

// role is who a message is from.
type role uint8

const (
	roleOther role = iota
	roleUser
	roleAssistant
	roleTool // or anything that answers a tool's call
)

// message is a message of a conversation, or an item of a response's input.
type message struct {
	span
	role    role
	content span
	calls   bool // it calls tools, which must be answered next
}

// Reset forgets the body.
func (c *Conversation) Reset() {
	*c = Conversation{question: c.question[:0], before: c.before[:0], opening: c.opening[:0], scratch: c.scratch[:0], seam: c.seam[:0], parts: c.parts}
}

// Read reads a body that ReadHead has accepted. m is the marker of our blocks,
// which are no part of what was said. Its error is ErrNoConversation.
func (c *Conversation) Read(t Text, d Dialect, m Marker) error {
	c.Reset()
	c.body, c.dialect, c.mark = t.Reveal(), d, m
	err := c.read()
	if err != nil {
		c.Reset()
	}
	return err
}

func (c *Conversation) read() error {
	list := "messages"
	switch c.dialect {
	case DialectChat, DialectMessages:
	case DialectResponses:
		list = "input"
	default:
		return ErrNoConversation
	}
	top := enter(c.body, bytes.IndexByte(c.body, '{'))
	for {
		name, value, ok := top.member()
		if !ok {
			break
		}
		var to *span
		switch string(name) {
		case list:
			to = &c.list
		case "cache_control":
			to = &c.cache
		default:
			c.named(string(name), value)
			continue
		}
		if !to.empty() {
			return ErrNoConversation // a second one: nobody knows which counts
		}
		*to = value
	}
	if c.list.empty() {
		return ErrNoConversation
	}
	switch c.body[c.list.start] {
	case '"':
		if c.dialect != DialectResponses {
			return ErrNoConversation
		}
		c.last = message{span: c.list, role: roleUser, content: c.list}
		c.user, c.asked, c.spoken = c.last, c.last, c.last
		c.ask(&c.last)
	case '[':
		if err := c.readMessages(); err != nil {
			return err
		}
	default:
		return ErrNoConversation
	}
	return c.findPlace()
}

// ask takes a message of the user for the question, so far, if it has a text; a
// long one is decoded once.
func (c *Conversation) ask(m *message) {
	var last int
	if c.scratch, last = c.said(c.scratch, m); len(c.scratch) == 0 {
		return
	}
	c.asked, c.own = *m, last
	c.before, c.question, c.scratch = c.question, c.scratch, c.before
	if !c.opened {
		c.opened, c.opening = true, append(c.opening[:0], c.question...)
	}
}

func (c *Conversation) readMessages() error {
	all := enter(c.body, c.list.start)
	for {
		at, ok := all.element()
		if !ok {
			break
		}
		if c.body[at.start] != '{' {
			return ErrNoConversation
		}
		m := message{span: at}
		if err := c.readMessage(&m); err != nil {
			return err
		}
		c.last = m
		if m.role != roleOther {
			c.spoken = m
		}
		switch m.role {
		case roleOther:
			if c.told.empty() {
				c.told = m.content
			}
		case roleUser:
			c.user, c.toolLast = m, false
			c.ask(&m)
		case roleTool:
			c.toolLast = true
		}
	}
	if c.user.empty() {
		return ErrNoConversation
	}
	return nil
}

// readMessage reads who a message is from, and where its content stands.
func (c *Conversation) readMessage(m *message) error {
	members := enter(c.body, m.start)
	var from, kind, output span
	for {
		name, value, ok := members.member()
		if !ok {
			break
		}
		var to *span
		switch string(name) {
		case "role":
			to = &from
		case "type":
			to = &kind
		case "content":
			to = &m.content
		case "output":
			to = &output
		case "tool_calls", "function_call":
			m.calls = m.calls || c.body[value.start] != 'n' && len(bytes.Trim(value.of(c.body), "[] \t\r\n")) > 0
			continue
		default:
			continue
		}
		if !to.empty() {
			return ErrNoConversation
		}
		*to = value
	}
	m.role = c.roleOf(from, kind)
	if c.word(kind, "function_call_output") || c.word(kind, "custom_tool_call_output") {
		m.content = output
	}
	m.calls = m.calls || c.word(kind, "function_call") || c.word(kind, "custom_tool_call")
	return nil
}

// roleOf tells who a message is from by its role and, in the responses dialect,
// its type.
func (c *Conversation) roleOf(from, kind span) role {
	if c.dialect == DialectResponses && !kind.empty() && !c.word(kind, "message") {
		return roleTool
	}
	switch {
	case c.word(from, "user"):
		return roleUser
	case c.word(from, "assistant"):
		return roleAssistant
	case c.word(from, "tool"), c.word(from, "function"):
		return roleTool
	}
	return roleOther
}

// word reports whether a value is a certain string.
func (c *Conversation) word(at span, want string) bool {
	if at.empty() || c.body[at.start] != '"' {
		return false
	}
	return string(unescape(c.body[at.start+1:at.end-1])) == want
}

// said gives a message's text without blocks of ours, in buf, and where its last part
// begins.
func (c *Conversation) said(buf []byte, m *message) (text []byte, last int) {
	buf = buf[:0]
	if m.content.empty() {
		return buf, 0
	}
	switch c.body[m.content.start] {
	case '"':
		buf = c.withoutBlocks(appendUnescaped(buf, c.body[m.content.start+1:m.content.end-1]))
	case '[':
		all := enter(c.body, m.content.start)
		for {
			part, ok := all.element()
			if !ok {
				break
			}
			before := len(buf)
			if buf = c.appendPart(buf, part); len(bytes.TrimSpace(buf[before:])) > 0 {
				last = before
			}
		}
	}
	buf = bytes.TrimRightFunc(buf, unicode.IsSpace)
	text = bytes.TrimLeftFunc(buf, unicode.IsSpace)
	return text, max(0, last-(len(buf)-len(text)))
}

// appendPart appends the text of a part that is a text.
func (c *Conversation) appendPart(dst []byte, part span) []byte {
	if c.body[part.start] != '{' {
		return dst
	}
	members := enter(c.body, part.start)
	var kind, words span
	for {
		name, value, ok := members.member()
		if !ok {
			break
		}
		switch string(name) {
		case "type":
			kind = value
		case "text":
			words = value
		}
	}
	if words.empty() || c.body[words.start] != '"' || !c.word(kind, c.textType()) {
		return dst
	}
	if len(dst) > 0 {
		dst = append(dst, '\n')
	}
	begin := len(dst)
	dst = appendUnescaped(dst, c.body[words.start+1:words.end-1])
	return dst[:begin+len(c.withoutBlocks(dst[begin:]))]
}

// textType is what a part with a text is called.
func (c *Conversation) textType() string {
	if c.dialect == DialectResponses {
		return "input_text"
	}
	return "text"
}

// withoutBlocks removes blocks of ours, which a client may have taken into its
// history, in place and in one pass: one that does not end goes on to the end.
// Where what stood around a block would make a new marker, a space parts it.
func (c *Conversation) withoutBlocks(text []byte) []byte {
	if len(c.mark.Open) == 0 {
		return text
	}
	kept, rest := text[:0], text
	for {
		start := bytes.Index(rest, c.mark.Open)
		if start < 0 {
			return c.join(kept, rest)
		}
		kept = c.join(kept, rest[:start])
		end := bytes.Index(rest[start:], c.mark.Close)
		if end < 0 {
			return kept
		}
		rest = rest[start+end+len(c.mark.Close):]
	}
}

// join appends to kept what follows a block. The block was longer than the
// space that may have to part them.
func (c *Conversation) join(kept, rest []byte) []byte {
	near := len(c.mark.Close) - 1 // as far as a marker can reach over the seam
	c.seam = append(append(c.seam[:0], kept[max(0, len(kept)-near):]...), rest[:min(near, len(rest))]...)
	if bytes.Contains(c.seam, c.mark.Open) || bytes.Contains(c.seam, c.mark.Close) {
		kept = append(kept, ' ')
	}
	return append(kept, rest...)
}

// Question is what the user says last, decoded and without blocks of ours:
// texts only, no images and nothing of tools. It is valid until the next Read.
func (c *Conversation) Question() Text { return NewText(&c.question) }

// Own is where in the question its last part begins: before it stands what a program
// has put beside the user's own words.
func (c *Conversation) Own() int { return c.own }

// Before is the turn of the user before that of the question, likewise; empty if there
// is none.
func (c *Conversation) Before() Text { return NewText(&c.before) }

// Opening is the user's first turn, likewise: it stays the same while a
// conversation goes on.
func (c *Conversation) Opening() Text { return NewText(&c.opening) }

// UserTurn reports whether the last message, but for system messages behind it, is a turn
// of the user, and not a tool's answer or the beginning of the assistant's.
func (c *Conversation) UserTurn() bool {
	return c.spoken.role == roleUser && c.spoken.span == c.asked.span
}

// Prefix is the body up to where a block would be put.
func (c *Conversation) Prefix() Text {
	prefix := c.body[:c.place.at]
	return NewText(&prefix)
}

func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		n := plain(raw[i:])
		dst = append(dst, raw[i:i+n]...)
		if i += n; i < len(raw) {
			dst, n = appendUnit(dst, raw[i:])
			i += n
		}
	}
	return dst
}
