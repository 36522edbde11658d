package memory

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/ownkey/ownkey/memory/transcript"
	"github.com/ownkey/ownkey/wire"
)

// Prompt is a question to a tenant's model.
type Prompt struct {
	Model     string
	System    string
	User      string
	MaxTokens int // of the answer; zero leaves it to the provider
	Stream    bool
	// Schema is what the answer must be, as a JSON Schema; nil for prose.
	Schema     json.RawMessage
	SchemaName string
}

// Path is where the prompt is sent, below /v1.
func (p *Prompt) Path(messages bool) string {
	if messages {
		return "/messages"
	}
	return "/chat/completions"
}

// defaultMaxTokens is for Anthropic, whose dialect wants a number.
const defaultMaxTokens = 1024

// Body is the request for a model that speaks chat completions, or Anthropic's
// messages.
func (p *Prompt) Body(messages bool) ([]byte, error) {
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body := map[string]any{"model": p.Model}
	if p.Stream {
		body["stream"] = true
	}
	user := turn{"user", p.User}
	if messages {
		body["system"], body["messages"], body["max_tokens"] = p.System, []turn{user}, cmp.Or(p.MaxTokens, defaultMaxTokens)
		if p.Schema != nil {
			body["output_config"] = map[string]any{"format": map[string]any{"type": "json_schema", "schema": p.Schema}}
		}
		return json.Marshal(body)
	}
	body["messages"] = []turn{{"system", p.System}, user}
	if p.MaxTokens > 0 {
		body["max_completion_tokens"] = p.MaxTokens
	}
	if p.Stream {
		body["stream_options"] = map[string]any{"include_usage": true}
	}
	if p.Schema != nil {
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": p.SchemaName, "schema": p.Schema}}
	}
	return json.Marshal(body)
}

// Dialect is that of the prompt's answer.
func (p *Prompt) Dialect(messages bool) wire.Dialect {
	if messages {
		return wire.DialectMessages
	}
	return wire.DialectChat
}

// maxAnswerBytes bounds what is kept of a model's answer.
const maxAnswerBytes = 256 << 10

// complete asks and gives what the model said.
func (k *Keeper) complete(ctx context.Context, who Caller, p *Prompt) (string, error) {
	messages := k.provider.SpeaksMessages(who.Tenant, p.Model)
	body, err := p.Body(messages)
	if err != nil {
		return "", err
	}
	answer, err := k.provider.Ask(ctx, who, p.Path(messages), body)
	if err != nil {
		return "", err
	}
	var said transcript.Transcript
	said.Reset(p.Dialect(messages), wire.FormatJSON, maxAnswerBytes)
	said.Write(answer)
	text := said.Text()
	return string(text.Reveal()), nil
}
