package fakeprovider

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// usage counts the words of the answer; the rest is constant.
func (c *call) usage() object {
	words := len(strings.Fields(c.text()))
	return object{
		"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words,
		"prompt_tokens_details": object{"cached_tokens": c.cached}, "completion_tokens_details": object{"reasoning_tokens": 2},
	}
}

// choices is how many answers a call wants.
func (c *call) choices() int { return min(max(c.in.N, 1), 16) }

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
	if t, ok := c.tool(); ok {
		message["content"], finish = nil, "tool_calls"
		message["tool_calls"] = []any{object{"id": "call_1", "type": "function", "function": object{"name": t.name, "arguments": encode(t.arguments)}}}
	}
	choices := make([]any, c.choices())
	for i := range choices {
		choices[i] = object{"index": i, "message": message, "finish_reason": finish, "logprobs": nil}
	}
	c.json(http.StatusOK, object{
		"id": "chatcmpl-" + c.id, "object": "chat.completion", "created": time.Now().Unix(), "model": c.in.Model,
		"choices": choices, "usage": c.usage(), "service_tier": "default",
	})
}

// chunks makes the events of a stream of completions.
type chunks struct {
	c    *call
	kind string
}

func (k chunks) event(choices []any, usage any) string {
	chunk := object{"id": "chatcmpl-" + k.c.id, "object": k.kind, "created": time.Now().Unix(), "model": k.c.in.Model, "choices": choices}
	if k.c.in.StreamOptions.IncludeUsage {
		chunk["usage"] = usage
	}
	return "data: " + encode(chunk) + "\n\n"
}

func (k chunks) delta(index int, d object, finish any) string {
	return k.event([]any{object{"index": index, "delta": d, "finish_reason": finish}}, nil)
}

func (c *call) chatStream() {
	k := chunks{c, "chat.completion.chunk"}
	parts := c.parts()
	if text, ok := c.structured(); ok {
		parts = []string{text}
	}
	s := c.stream()
	for i := range c.choices() {
		finish := "stop"
		s.write(k.delta(i, object{"role": "assistant", "content": ""}, nil))
		if t, ok := c.tool(); ok {
			parts, finish = nil, "tool_calls"
			call := func(o object) object { o["index"] = 0; return object{"tool_calls": []any{o}} }
			s.write(k.delta(i, call(object{"id": "call_1", "type": "function", "function": object{"name": t.name, "arguments": ""}}), nil))
			for _, half := range halves(encode(t.arguments)) {
				s.write(k.delta(i, call(object{"function": object{"arguments": half}}), nil))
			}
		}
		for _, part := range parts {
			if !s.chunk(k.delta(i, object{"content": part}, nil)) {
				return
			}
		}
		if !c.b.errorEvent {
			s.write(k.delta(i, object{}, finish))
		}
	}
	s.end(k)
}

// end closes a stream of completions.
func (s *stream) end(k chunks) {
	if s.c.b.errorEvent {
		s.write("data: " + encode(object{"error": object{"message": s.c.said(), "type": "server_error", "param": nil, "code": nil}}) + "\n\n")
		return
	}
	if s.c.in.StreamOptions.IncludeUsage {
		s.write(k.event([]any{}, s.c.usage()))
	}
	if !s.c.b.noDone {
		s.write("data: [DONE]\n\n")
	}
}

// halves cuts a text as a provider does: between characters, and not where
// JSON would.
func halves(s string) [2]string {
	i := len(s) / 2
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return [2]string{s[:i], s[i:]}
}

func (c *call) completions() {
	choice := func(text string, finish any) []any {
		return []any{object{"index": 0, "text": text, "finish_reason": finish, "logprobs": nil}}
	}
	if !c.in.Stream {
		c.json(http.StatusOK, object{
			"id": "cmpl-" + c.id, "object": "text_completion", "created": time.Now().Unix(), "model": c.in.Model,
			"choices": choice(c.text(), "stop"), "usage": c.usage(),
		})
		return
	}
	k, s := chunks{c, "text_completion"}, c.stream()
	for _, part := range c.parts() {
		if !s.chunk(k.event(choice(part, nil), nil)) {
			return
		}
	}
	if !c.b.errorEvent {
		s.write(k.event(choice("", "stop"), nil))
	}
	s.end(k)
}
