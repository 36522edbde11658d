package wire

import (
	"bytes"
	"unicode/utf8"
)

// place is where a block is put: at the tail of the conversation, behind the
// client's last own content.
type place struct {
	how   placing
	at    int  // offset of the insertion
	owner span // the client's content before it, that a breakpoint may be put on
	first bool // nothing stands before it in its list
}

type placing uint8

const (
	intoString placing = iota // into a content that is a string, at its end
	intoParts                 // as a further part of a content
	asMessage                 // as a message of its own
)

// findPlace chooses the place. What a tool has answered stands right behind its
// call, and the next turn is the model's: Mistral's API refuses a turn of the
// user in between (code 3230, "Unexpected role 'user' after role 'tool'",
// 2026-11), and so do the templates of some open models. So there the block is appended to the tool's
// answer itself, which every provider takes. In front of the beginning of an
// answer that the model is to go on with, it belongs to the user's turn before
// it.
func (c *Conversation) findPlace() error {
	m := &c.last
	switch {
	case c.last.calls:
		return ErrNoConversation // nobody has answered the call
	case c.last.role == roleTool:
		return c.placeBehindTool()
	case c.last.role != roleUser && c.toolLast:
		return ErrNoConversation
	case c.last.role != roleUser:
		m = &c.user
	}
	return c.placeIn(m.content)
}

// placeBehindTool chooses the place where the last word is a tool's. Items of a
// response's input whose output is neither a text nor a list of parts, such as
// a computer's screenshot, are OpenAI's own: it takes a message behind them.
func (c *Conversation) placeBehindTool() error {
	if c.placeIn(c.last.content) == nil {
		return nil
	}
	if c.dialect != DialectResponses {
		return ErrNoConversation
	}
	c.place = place{how: asMessage, at: c.list.end - 1}
	return nil
}

// placeIn puts the block at the end of a content.
func (c *Conversation) placeIn(content span) error {
	if content.empty() {
		return ErrNoConversation
	}
	switch c.body[content.start] {
	case '"':
		c.place = place{how: intoString, at: content.end - 1, owner: content}
	case '[':
		c.place = place{how: intoParts, at: content.end - 1, owner: content}
		all := enter(c.body, content.start)
		_, some := all.element()
		c.place.first = !some
	default:
		return ErrNoConversation
	}
	return nil
}

// Insert plans the splice of a block, which is plain text, into the body that
// was read: insertions only, in ascending order, valid until the next Read. With
// breakpoint, the content before the block is marked as the end of what the
// provider should cache, as models want it whose implicit breakpoint would lie
// behind the block (OpenAI's prompt caching guide for GPT-5.6, 2026-11), unless
// the client has marked something itself.
func (c *Conversation) Insert(block []byte, breakpoint bool) []Edit {
	mark := c.cacheMark(breakpoint)
	b := c.parts[2][:0]
	switch {
	case c.place.how == intoString && (mark == nil || c.last.role == roleTool): // a tool's answer that is a string stays one
		b = appendQuoted(append(b, `\n\n`...), block)
		c.parts[2] = b
		return c.plan(Edit{c.place.at, c.place.at, b})
	case c.place.how == intoString:
		b = append(append(b, mark...), '}', ',')
		b = append(c.appendTextPart(b, block), ']')
		c.parts[2] = b
		open := append(append(append(c.parts[1][:0], `[{"type":"`...), c.textType()...), `","text":`...)
		c.parts[1] = open
		return c.plan(Edit{c.place.owner.start, c.place.owner.start, open}, Edit{c.place.owner.end, c.place.owner.end, b})
	case c.place.how == asMessage:
		b = c.appendMessage(append(b, ','), block)
	default:
		if !c.place.first {
			b = append(b, ',')
		}
		b = c.appendTextPart(b, block)
	}
	c.parts[2] = b
	tail := Edit{c.place.at, c.place.at, b}
	if mark == nil {
		return c.plan(tail)
	}
	return c.marked(mark, tail)
}

// marked plans the mark on the client's last part together with the tail.
func (c *Conversation) marked(mark []byte, tail Edit) []Edit {
	owner := c.place.owner
	if owner.empty() {
		return c.plan(tail)
	}
	all := enter(c.body, owner.start)
	var last span
	for {
		part, ok := all.element()
		if !ok {
			break
		}
		last = part
	}
	if last.empty() || c.body[last.start] != '{' || c.has(last, "cache_control") {
		return c.plan(tail)
	}
	members := enter(c.body, last.start)
	if _, some := members.element(); !some {
		return c.plan(tail) // of no type at all
	}
	return c.plan(Edit{last.end - 1, last.end - 1, mark}, tail)
}

// has reports whether an object has a member.
func (c *Conversation) has(object span, want string) bool {
	members := enter(c.body, object.start)
	for {
		name, _, ok := members.member()
		if !ok || string(name) == want {
			return ok
		}
	}
}

func (c *Conversation) plan(edits ...Edit) []Edit {
	return c.edits[:copy(c.edits[:], edits)]
}

// maxCacheMarks is how many blocks Anthropic caches in one request, beside the
// one that a cache_control of the body stands for, when ours is among them
// (its prompt caching documentation, 2026-11: four in all).
const maxCacheMarks = 2

// cacheMark is the member that the client's last content gets; nil for none.
func (c *Conversation) cacheMark(breakpoint bool) []byte {
	if c.dialect == DialectMessages {
		// A cache_control of the body itself stands for "the last block", which
		// would be ours and is never seen again.
		if c.cache.empty() || c.body[c.cache.start] != '{' || bytes.Count(c.body, []byte(`"cache_control"`)) > 1+maxCacheMarks {
			return nil
		}
		c.parts[0] = append(append(c.parts[0][:0], `,"cache_control":`...), c.cache.of(c.body)...)
		return c.parts[0]
	}
	if !breakpoint || bytes.Contains(c.body, []byte(`"prompt_cache_breakpoint"`)) || bytes.Contains(c.body, []byte(`"prompt_cache_options"`)) {
		return nil
	}
	c.parts[0] = append(c.parts[0][:0], `,"prompt_cache_breakpoint":{"mode":"explicit"}`...)
	return c.parts[0]
}

func (c *Conversation) appendTextPart(dst, block []byte) []byte {
	dst = append(append(append(dst, `{"type":"`...), c.textType()...), `","text":"`...)
	return append(appendQuoted(dst, block), `"}`...)
}

// appendMessage appends a message of the user that is the block alone.
func (c *Conversation) appendMessage(dst, block []byte) []byte {
	if c.dialect == DialectResponses {
		dst = append(dst, `{"type":"message","role":"user","content":[`...)
		return append(c.appendTextPart(dst, block), `]}`...)
	}
	dst = append(dst, `{"role":"user","content":"`...)
	return append(appendQuoted(dst, block), `"}`...)
}

const lowerHex = "0123456789abcdef"

// appendQuoted appends a text as it stands inside a JSON string. What is not
// UTF-8 becomes U+FFFD.
func appendQuoted(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(text[i:])
			if r == 0x2028 || r == 0x2029 { // line ends in JavaScript
				dst = append(dst, '\\', 'u', '2', '0', '2', lowerHex[r&15])
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			i += n
			continue
		}
		i++
	}
	return dst
}
