package fakeprovider

import (
	"net/http"
	"strings"
	"time"
)

func (c *call) responseObject(id, status string, output []any) object {
	var usage any
	if status == "completed" {
		words := len(strings.Fields(c.text()))
		usage = object{
			"input_tokens": 10, "input_tokens_details": object{"cached_tokens": 4},
			"output_tokens": words, "output_tokens_details": object{"reasoning_tokens": 2}, "total_tokens": 10 + words,
		}
	}
	return object{
		"id": id, "object": "response", "created_at": time.Now().Unix(), "status": status, "model": c.in.Model, "output": output,
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": object{}, "parallel_tool_calls": true,
		"temperature": 1, "tool_choice": "auto", "tools": []any{}, "top_p": 1, "usage": usage,
	}
}

// responseParts is the answer's text in the pieces that a stream sends.
func (c *call) responseParts() []string {
	if text, ok := c.structured(); ok {
		h := halves(text)
		return h[:]
	}
	return c.parts()
}

func textPart(text string) object {
	return object{"type": "output_text", "text": text, "annotations": []any{}}
}

func (c *call) outputItem() object {
	if t, ok := c.tool(); ok {
		return object{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": t.name, "arguments": encode(t.arguments), "status": "completed"}
	}
	return object{
		"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
		"content": []any{textPart(strings.Join(c.responseParts(), ""))},
	}
}

func (c *call) responses() {
	id, item := "resp_"+c.id, c.outputItem()
	if !c.in.Stream {
		c.json(http.StatusOK, c.responseObject(id, "completed", []any{item}))
		return
	}
	s := &responseStream{stream: c.stream()}
	for _, kind := range []string{"response.created", "response.in_progress"} {
		s.write(s.event(kind, object{"response": c.responseObject(id, "in_progress", []any{})}))
	}
	whole := true
	if item["type"] == "function_call" {
		s.function(item)
	} else {
		whole = s.text(c.responseParts())
	}
	switch {
	case !whole:
	case c.b.errorEvent:
		s.write(s.event("error", object{"code": "server_error", "message": c.said(), "param": nil}))
	default:
		s.write(s.event("response.output_item.done", object{"output_index": 0, "item": item}))
		s.write(s.event("response.completed", object{"response": c.responseObject(id, "completed", []any{item})}))
	}
}

// responseStream numbers its events.
type responseStream struct {
	*stream
	sequence int
}

func (s *responseStream) event(kind string, fields object) string {
	fields["type"], fields["sequence_number"] = kind, s.sequence
	s.sequence++
	return "event: " + kind + "\ndata: " + encode(fields) + "\n\n"
}

func (s *responseStream) function(item object) {
	begun := object{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": item["name"], "arguments": "", "status": "in_progress"}
	s.write(s.event("response.output_item.added", object{"output_index": 0, "item": begun}))
	arguments := item["arguments"].(string) //nolint:forcetypeassert // outputItem's own
	for _, half := range halves(arguments) {
		s.write(s.event("response.function_call_arguments.delta", object{"item_id": "fc_1", "output_index": 0, "delta": half}))
	}
	s.write(s.event("response.function_call_arguments.done", object{"item_id": "fc_1", "output_index": 0, "arguments": arguments, "name": item["name"]}))
}

// text reports whether the stream goes on to its end.
func (s *responseStream) text(parts []string) bool {
	at := func(o object) object {
		o["item_id"], o["output_index"], o["content_index"] = "msg_1", 0, 0
		return o
	}
	begun := object{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}
	s.write(s.event("response.output_item.added", object{"output_index": 0, "item": begun}))
	s.write(s.event("response.content_part.added", at(object{"part": textPart("")})))
	for _, p := range parts {
		if !s.chunk(s.event("response.output_text.delta", at(object{"delta": p, "logprobs": []any{}}))) {
			return false
		}
	}
	whole := strings.Join(parts, "")
	s.write(s.event("response.output_text.done", at(object{"text": whole, "logprobs": []any{}})))
	s.write(s.event("response.content_part.done", at(object{"part": textPart(whole)})))
	return true
}

func (c *call) storedResponse() {
	c.json(http.StatusOK, c.responseObject(c.r.PathValue("id"), "completed", []any{c.outputItem()}))
}
