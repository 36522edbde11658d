package fakeprovider

import (
	"net/http"
	"strings"
)

func (c *call) message(content []any, stop any, output int) object {
	return object{
		"id": "msg_" + c.id, "type": "message", "role": "assistant", "model": c.in.Model, "content": content,
		"stop_reason": stop, "stop_sequence": nil,
		"usage": object{"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": c.cached, "output_tokens": output},
	}
}

func (c *call) messages() {
	if !c.versioned() {
		return
	}
	t, isTool := c.tool()
	parts := c.responseParts()
	block, stop := object{"type": "text", "text": strings.Join(parts, "")}, "end_turn"
	if isTool {
		block, stop = object{"type": "tool_use", "id": "toolu_1", "name": t.name, "input": t.arguments}, "tool_use"
	}
	words := len(strings.Fields(c.text()))
	if !c.in.Stream {
		c.json(http.StatusOK, c.message([]any{block}, stop, words))
		return
	}
	s := c.stream()
	s.write(messageEvent("message_start", object{"message": c.message([]any{}, nil, 1)}))
	s.write(messageEvent("ping", object{}))
	if isTool {
		begun := object{"type": "tool_use", "id": "toolu_1", "name": t.name, "input": object{}}
		s.write(messageEvent("content_block_start", object{"index": 0, "content_block": begun}))
		for _, half := range halves(encode(t.arguments)) {
			s.write(blockDelta(object{"type": "input_json_delta", "partial_json": half}))
		}
	} else {
		s.write(messageEvent("content_block_start", object{"index": 0, "content_block": object{"type": "text", "text": ""}}))
		for _, part := range parts {
			if !s.chunk(blockDelta(object{"type": "text_delta", "text": part})) {
				return
			}
		}
	}
	if c.b.errorEvent {
		s.write(messageEvent("error", object{"error": object{"type": "overloaded_error", "message": c.said()}}))
		return
	}
	s.write(messageEvent("content_block_stop", object{"index": 0}))
	s.write(messageEvent("message_delta", object{"delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": words}}))
	s.write(messageEvent("message_stop", object{}))
}

func messageEvent(kind string, fields object) string {
	fields["type"] = kind
	return "event: " + kind + "\ndata: " + encode(fields) + "\n\n"
}

func blockDelta(d object) string {
	return messageEvent("content_block_delta", object{"index": 0, "delta": d})
}

// versioned refuses a call without the header that Anthropic requires.
func (c *call) versioned() bool {
	if c.r.Header.Get("Anthropic-Version") != "" {
		return true
	}
	c.fail(http.StatusBadRequest, "", "anthropic-version: header is required")
	return false
}

func (c *call) countTokens() {
	if c.versioned() {
		c.json(http.StatusOK, object{"input_tokens": 10})
	}
}
