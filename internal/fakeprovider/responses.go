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

func (c *call) outputItem(status string) object {
	if tool := c.tool(); tool != "" {
		return object{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": tool, "arguments": toolArguments, "status": status}
	}
	text := c.text()
	if s, ok := c.structured(); ok {
		text = s
	}
	return object{
		"id": "msg_1", "type": "message", "role": "assistant", "status": status,
		"content": []any{object{"type": "output_text", "text": text, "annotations": []any{}}},
	}
}

func (c *call) responses() {
	id := "resp_" + c.id
	if !c.in.Stream {
		c.json(http.StatusOK, c.responseObject(id, "completed", []any{c.outputItem("completed")}))
		return
	}
	s := c.stream()
	sequence := 0
	event := func(kind string, fields object) string {
		fields["type"], fields["sequence_number"] = kind, sequence
		sequence++
		return "event: " + kind + "\ndata: " + encode(fields) + "\n\n"
	}
	s.write(event("response.created", object{"response": c.responseObject(id, "in_progress", []any{})}))
	item := c.outputItem("completed")
	at := func(o object) object { o["item_id"], o["output_index"] = item["id"], 0; return o }
	if item["type"] == "function_call" {
		s.write(event("response.output_item.added", object{"output_index": 0, "item": object{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": item["name"], "arguments": "", "status": "in_progress"}}))
		s.write(event("response.function_call_arguments.delta", at(object{"delta": toolArguments})))
		s.write(event("response.function_call_arguments.done", at(object{"arguments": toolArguments, "name": item["name"]})))
	} else {
		part := func(o object) object { o["content_index"] = 0; return at(o) }
		s.write(event("response.output_item.added", object{"output_index": 0, "item": object{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}}))
		s.write(event("response.content_part.added", part(object{"part": object{"type": "output_text", "text": "", "annotations": []any{}}})))
		for _, p := range c.parts() {
			if !s.chunk(event("response.output_text.delta", part(object{"delta": p, "logprobs": []any{}}))) {
				return
			}
		}
		s.write(event("response.output_text.done", part(object{"text": c.text(), "logprobs": []any{}})))
		s.write(event("response.content_part.done", part(object{"part": object{"type": "output_text", "text": c.text(), "annotations": []any{}}})))
	}
	s.write(event("response.output_item.done", object{"output_index": 0, "item": item}))
	if c.b.errorEvent {
		s.write(event("error", object{"code": "server_error", "message": "As you asked.", "param": nil}))
		return
	}
	s.write(event("response.completed", object{"response": c.responseObject(id, "completed", []any{item})}))
}

func (c *call) storedResponse() {
	c.json(http.StatusOK, c.responseObject(c.r.PathValue("id"), "completed", []any{c.outputItem("completed")}))
}

func (c *call) deleted() {
	c.json(http.StatusOK, object{"id": c.r.PathValue("id"), "object": "deleted", "deleted": true})
}
