package fakeprovider

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
)

// schema is what the double understands of a JSON schema.
type schema struct {
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Enum       []any             `json:"enum"`
}

// value makes something that the schema allows.
func (s *schema) value() any {
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.Type {
	case "object", "":
		o := object{}
		for name, p := range s.Properties {
			o[name] = p.value()
		}
		return o
	case "array":
		if s.Items == nil {
			return []any{}
		}
		return []any{s.Items.value()}
	case "integer", "number":
		return 7
	case "boolean":
		return true
	}
	return "fake"
}

func (c *call) structured() (text string, ok bool) {
	s := c.in.ResponseFormat.JSONSchema.Schema
	switch {
	case c.in.ResponseFormat.Type == "json_schema":
	case c.in.Text.Format.Type == "json_schema":
		s = c.in.Text.Format.Schema
	default:
		return "", false
	}
	b, err := json.Marshal(s.value())
	if err != nil {
		panic(err)
	}
	return string(b), true
}

// tool gives the name of the first tool that was offered.
func (c *call) tool() string {
	var t struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if len(c.in.Tools) == 0 || json.Unmarshal(c.in.Tools[0], &t) != nil {
		return ""
	}
	if t.Function.Name != "" {
		return t.Function.Name
	}
	return t.Name
}

const toolArguments = `{"city":"Paris"}`

func (c *call) usage() object {
	words := len(strings.Fields(c.text()))
	return object{
		"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words,
		"prompt_tokens_details": object{"cached_tokens": 4}, "completion_tokens_details": object{"reasoning_tokens": 2},
	}
}

func (c *call) chat() {
	if c.in.Stream {
		c.chatStream()
		return
	}
	message := object{"role": "assistant", "content": c.text(), "refusal": nil}
	finish := "stop"
	if text, ok := c.structured(); ok {
		message["content"] = text
	}
	if tool := c.tool(); tool != "" {
		message["content"], finish = nil, "tool_calls"
		message["tool_calls"] = []any{object{"id": "call_1", "type": "function", "function": object{"name": tool, "arguments": toolArguments}}}
	}
	c.json(http.StatusOK, object{
		"id": "chatcmpl-" + c.id, "object": "chat.completion", "created": time.Now().Unix(), "model": c.in.Model,
		"choices": []any{object{"index": 0, "message": message, "finish_reason": finish, "logprobs": nil}}, "usage": c.usage(),
	})
}

func (c *call) chatStream() {
	s := c.stream()
	event := func(choices []any, usage any) string {
		chunk := object{"id": "chatcmpl-" + c.id, "object": "chat.completion.chunk", "created": time.Now().Unix(), "model": c.in.Model, "choices": choices}
		if c.in.StreamOptions.IncludeUsage {
			chunk["usage"] = usage
		}
		return "data: " + encode(chunk) + "\n\n"
	}
	delta := func(d object, finish any) string {
		return event([]any{object{"index": 0, "delta": d, "finish_reason": finish}}, nil)
	}
	parts, finish := c.parts(), "stop"
	if text, ok := c.structured(); ok {
		parts = []string{text}
	}
	s.write(delta(object{"role": "assistant", "content": ""}, nil))
	if tool := c.tool(); tool != "" {
		parts, finish = nil, "tool_calls"
		s.write(delta(object{"tool_calls": []any{object{"index": 0, "id": "call_1", "type": "function", "function": object{"name": tool, "arguments": ""}}}}, nil))
		s.write(delta(object{"tool_calls": []any{object{"index": 0, "function": object{"arguments": toolArguments}}}}, nil))
	}
	for _, part := range parts {
		if !s.chunk(delta(object{"content": part}, nil)) {
			return
		}
	}
	if c.b.errorEvent {
		s.write(`data: {"error":{"message":"As you asked.","type":"server_error","param":null,"code":null}}` + "\n\n")
		return
	}
	s.write(delta(object{}, finish))
	if c.in.StreamOptions.IncludeUsage {
		s.write(event([]any{}, c.usage()))
	}
	if !c.b.noDone {
		s.write("data: [DONE]\n\n")
	}
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (c *call) completions() {
	c.json(http.StatusOK, object{
		"id": "cmpl-" + c.id, "object": "text_completion", "created": time.Now().Unix(), "model": c.in.Model,
		"choices": []any{object{"index": 0, "text": c.text(), "finish_reason": "stop", "logprobs": nil}}, "usage": c.usage(),
	})
}

func (c *call) embeddings() {
	n := 1
	var many []json.RawMessage
	if json.Unmarshal(c.in.Input, &many) == nil {
		n = len(many)
	}
	data := make([]any, n)
	for i := range data {
		vector := make([]float32, 8)
		packed := make([]byte, 0, 4*len(vector))
		for j := range vector {
			vector[j] = float32(i+1) / float32(j+2)
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(vector[j]))
		}
		var embedding any = vector
		if c.in.EncodingFormat == "base64" {
			embedding = base64.StdEncoding.EncodeToString(packed)
		}
		data[i] = object{"object": "embedding", "index": i, "embedding": embedding}
	}
	c.json(http.StatusOK, object{"object": "list", "data": data, "model": c.in.Model, "usage": object{"prompt_tokens": 8, "total_tokens": 8}})
}

func (c *call) moderations() {
	c.json(http.StatusOK, object{"id": "modr-" + c.id, "model": c.in.Model, "results": []any{object{"flagged": false, "categories": object{}, "category_scores": object{}}}})
}

func (c *call) images() {
	c.json(http.StatusOK, object{"created": time.Now().Unix(), "data": []any{object{"b64_json": base64.StdEncoding.EncodeToString([]byte("not a picture"))}}})
}

func fakeModel(id string) object {
	return object{"id": id, "object": "model", "created": 1700000000, "owned_by": "fake", "type": "model", "display_name": id, "created_at": "2024-01-01T00:00:00Z"}
}

func (c *call) models() {
	c.json(http.StatusOK, object{"object": "list", "data": []any{fakeModel("gpt-4o-mini"), fakeModel("claude-fake")}, "has_more": false, "first_id": nil, "last_id": nil})
}

func (c *call) model() { c.json(http.StatusOK, fakeModel(c.r.PathValue("id"))) }
