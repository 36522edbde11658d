package fakeprovider

import (
	"net/http"
	"strings"
)

func (c *call) message(content []any, stop any, output int) object {
	return object{
		"id": "msg_" + c.id, "type": "message", "role": "assistant", "model": c.in.Model, "content": content,
		"stop_reason": stop, "stop_sequence": nil,
		"usage": object{"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": output},
	}
}

func (c *call) messages() {
	if c.r.Header.Get("Anthropic-Version") == "" {
		c.fail(http.StatusBadRequest, "", "anthropic-version: header is required")
		return
	}
	block, stop := object{"type": "text", "text": c.text()}, "end_turn"
	if tool := c.tool(); tool != "" {
		block, stop = object{"type": "tool_use", "id": "toolu_1", "name": tool, "input": object{"city": "Paris"}}, "tool_use"
	}
	words := len(strings.Fields(c.text()))
	if !c.in.Stream {
		c.json(http.StatusOK, c.message([]any{block}, stop, words))
		return
	}
	s := c.stream()
	event := func(kind string, fields object) string {
		fields["type"] = kind
		return "event: " + kind + "\ndata: " + encode(fields) + "\n\n"
	}
	delta := func(d object) string { return event("content_block_delta", object{"index": 0, "delta": d}) }
	s.write(event("message_start", object{"message": c.message([]any{}, nil, 1)}))
	s.write(event("ping", object{}))
	if stop == "tool_use" {
		s.write(event("content_block_start", object{"index": 0, "content_block": object{"type": "tool_use", "id": "toolu_1", "name": block["name"], "input": object{}}}))
		s.write(delta(object{"type": "input_json_delta", "partial_json": toolArguments}))
	} else {
		s.write(event("content_block_start", object{"index": 0, "content_block": object{"type": "text", "text": ""}}))
		for _, part := range c.parts() {
			if !s.chunk(delta(object{"type": "text_delta", "text": part})) {
				return
			}
		}
	}
	if c.b.errorEvent {
		s.write(event("error", object{"error": object{"type": "overloaded_error", "message": "As you asked."}}))
		return
	}
	s.write(event("content_block_stop", object{"index": 0}))
	s.write(event("message_delta", object{"delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": words}}))
	s.write(event("message_stop", object{}))
}

func (c *call) countTokens() { c.json(http.StatusOK, object{"input_tokens": 10}) }
