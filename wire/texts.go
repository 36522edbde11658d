package wire

import (
	"bytes"
	"iter"
	"slices"
)

// newestMessages is how many of a conversation's last messages Texts looks at.
const newestMessages = 4096

// noTexts are members whose strings nobody says: kinds, names, ids and what stands for
// bytes.
var noTexts = map[string]bool{
	"call_id": true, "data": true, "detail": true, "encrypted_content": true, "file_data": true, "file_id": true, "format": true, "id": true, "media_type": true,
	"mime_type": true, "model": true, "name": true, "role": true, "signature": true, "status": true, "tool_call_id": true, "tool_use_id": true, "type": true, "url": true,
}

// Texts gives what a conversation says, whoever says it: the system prompt, then its
// messages from the last to the first, decoded string by string; tools' calls and
// answers too, pictures and ids not. It ends behind the message with which most bytes
// are reached. Each text is valid until the next.
func (c *Conversation) Texts(most int) iter.Seq[Text] {
	return func(yield func(Text) bool) {
		left := most
		say := func(at span) bool {
			if at.empty() || left <= 0 {
				return true
			}
			return c.strings(at, &left, yield)
		}
		if !say(c.system) || c.list.empty() {
			return
		}
		if c.body[c.list.start] == '"' {
			say(c.list)
			return
		}
		last := c.messages()
		for _, at := range slices.Backward(last) {
			if !say(at) {
				return
			}
		}
	}
}

// Prompts gives the parts of the system prompt, as Texts gives texts.
func (c *Conversation) Prompts(most int) iter.Seq[Text] {
	return func(yield func(Text) bool) {
		left := most
		for _, at := range []span{c.system, c.told} {
			if !at.empty() && !c.strings(at, &left, yield) {
				return
			}
		}
	}
}

// messages gives where the last messages stand.
func (c *Conversation) messages() []span {
	n, ring := 0, make([]span, 0, 64)
	for all := enter(c.body, c.list.start); ; n++ {
		at, ok := all.element()
		if !ok {
			break
		}
		if len(ring) < newestMessages {
			ring = append(ring, at)
		} else {
			ring[n%newestMessages] = at
		}
	}
	if n > len(ring) { // in their order again
		first := n % newestMessages
		ring = append(ring[first:len(ring):len(ring)], ring[:first]...)
	}
	return ring
}

// strings gives the strings in a value, in one pass whatever its depth, and takes what
// they are long from left.
func (c *Conversation) strings(at span, left *int, yield func(Text) bool) bool {
	silent := false
	for i := at.start; i < at.end; i++ {
		switch c.body[i] {
		case '{', '[', ',':
			silent = silent && c.body[i] != ',' && c.body[i] != '{'
		case '"':
			end := stringEnd(c.body, i)
			raw := c.body[i+1 : end-1]
			i = end - 1
			if next := bytes.TrimLeft(c.body[end:at.end], " \t\r\n"); len(next) > 0 && next[0] == ':' {
				silent = noTexts[string(raw)]
				continue
			}
			if silent || len(raw) == 0 {
				continue
			}
			c.scratch = appendUnescaped(c.scratch[:0], raw[:min(len(raw), max(*left, 0))])
			*left -= len(raw)
			if !yield(NewText(&c.scratch)) {
				return false
			}
		}
	}
	return true
}

// SessionName is what a request itself says that its conversation is called, by the
// first of prompt_cache_key, conversation, previous_response_id and metadata.user_id
// that it has; empty if it says nothing. Of a user id that names a session, as Claude
// Code's does, it is that.
func (c *Conversation) SessionName() Text {
	for _, at := range []span{c.cacheKey, c.talk, c.previous, c.userID} {
		if at.empty() || at.end-at.start <= 2 {
			continue
		}
		name := unescape(c.body[at.start+1 : at.end-1])
		if at == c.userID {
			name = sessionOf(name)
		}
		if name = bytes.TrimSpace(name); len(name) > 0 {
			return NewText(&name)
		}
	}
	return Text{}
}

// sessionOf gives the session that a user id names: user_…_account_…_session_ID, or a
// JSON object with session_id.
func sessionOf(id []byte) []byte {
	if at := bytes.LastIndex(id, []byte("_session_")); at >= 0 && at+len("_session_") < len(id) {
		return id[at+len("_session_"):]
	}
	if _, behind, ok := bytes.Cut(id, []byte(`"session_id"`)); ok {
		behind = bytes.TrimLeft(behind, ": \t")
		if len(behind) > 0 && behind[0] == '"' {
			if end := bytes.IndexByte(behind[1:], '"'); end > 0 {
				return behind[1 : 1+end]
			}
		}
	}
	return id
}

// named notes a member that may name the conversation, or its system prompt; the first
// counts.
func (c *Conversation) named(name string, value span) {
	var to *span
	switch name {
	case "system", "instructions":
		if c.system.empty() {
			c.system = value
		}
		return
	case "prompt_cache_key":
		to = &c.cacheKey
	case "previous_response_id":
		to = &c.previous
	case "conversation":
		to, value = &c.talk, c.member(value, "id")
	case "metadata":
		if c.body[value.start] != '{' {
			return
		}
		to, value = &c.userID, c.member(value, "user_id")
	default:
		return
	}
	if to.empty() && !value.empty() && c.body[value.start] == '"' {
		*to = value
	}
}

// member gives where a member of an object stands; of anything else the value itself.
func (c *Conversation) member(value span, want string) (at span) {
	if c.body[value.start] != '{' {
		return value
	}
	for members := enter(c.body, value.start); ; {
		name, of, ok := members.member()
		if !ok {
			return at
		}
		if at.empty() && string(name) == want {
			at = of
		}
	}
}
