package config

// Definition is what the gateway knows of a provider without being configured.
type Definition struct {
	BaseURL string // from the provider's API reference, 2026-11
	Auth    string // empty is AuthBearer
	// ReasoningApart: output that it reports leaves out reasoning tokens, which it
	// bills as output (xAI's documentation, "Consumption and rate limits", 2026-11).
	ReasoningApart bool
	// RequestHeaders and ResponseHeaders pass beside those of every provider: what
	// its documentation and its own clients name (2026-11). docs/headers.md lists
	// them.
	RequestHeaders, ResponseHeaders []string
}

// builtin are the providers that need no entry.
var builtin = map[string]Definition{
	"openai": {
		BaseURL: "https://api.openai.com/v1",
		// What Codex sends to keep a session on one server, and the end user of the
		// realtime API.
		RequestHeaders: []string{
			"Session-Id", "Session_id", "Thread-Id", "Originator", "Version", "X-Codex-*", "X-OpenAI-Subagent", "OpenAI-Safety-Identifier",
		},
		ResponseHeaders: []string{"X-Codex-*", "X-Models-ETag", "X-Reasoning-Included"},
	},
	"anthropic": {
		BaseURL: "https://api.anthropic.com/v1", Auth: AuthXAPIKey,
		RequestHeaders: []string{"Anthropic-User-Profile-Id"},
	},
	"groq": {
		BaseURL:        "https://api.groq.com/openai/v1",
		RequestHeaders: []string{"Groq-Model-Version"}, ResponseHeaders: []string{"X-Groq-Region"},
	},
	"together": {
		BaseURL:         "https://api.together.xyz/v1",
		ResponseHeaders: []string{"X-Together-File-Id", "X-TokenLimit-*"}, // of an upload: the id comes with the Location
	},
	"fireworks": {
		BaseURL: "https://api.fireworks.ai/inference/v1",
		// They decide which prompt cache is used.
		RequestHeaders:  []string{"X-Session-Affinity", "X-Prompt-Cache-Isolation-Key"},
		ResponseHeaders: []string{"Fireworks-*"},
	},
	"mistral": {
		BaseURL:         "https://api.mistral.ai/v1",
		RequestHeaders:  []string{"X-Affinity"}, // of the prompt cache
		ResponseHeaders: []string{"Mistral-Correlation-Id", "RateLimitBySize-*", "X-RateLimitBySize-*"},
	},
	"deepseek": {
		BaseURL:         "https://api.deepseek.com/v1",
		ResponseHeaders: []string{"X-DS-Trace-Id"},
	},
	"xai": {
		BaseURL: "https://api.x.ai/v1", ReasoningApart: true,
		RequestHeaders: []string{"X-Grok-Conv-Id"}, // of the prompt cache
	},
	"openrouter": {
		BaseURL: "https://openrouter.ai/api/v1",
		RequestHeaders: []string{
			"X-OpenRouter-Title", "X-OpenRouter-Categories", "X-OpenRouter-Metadata", "X-OpenRouter-Experimental-Metadata",
			"X-OpenRouter-Cache", "X-OpenRouter-Cache-TTL", "X-OpenRouter-Cache-Clear", "X-Session-Id", "X-Anthropic-Beta",
		},
		ResponseHeaders: []string{"X-OpenRouter-*", "X-Generation-Id"},
	},
	"gemini": {
		BaseURL:         "https://generativelanguage.googleapis.com/v1beta/openai",
		ResponseHeaders: []string{"X-Gemini-Service-Tier"},
	},
}

// DefinitionOf gives what is known of a provider by its name. What is not built
// in is like most.
func DefinitionOf(name string) Definition { return builtin[name] }

// BuiltinProvider gives a built-in provider with the defaults filled in.
func BuiltinProvider(name string) (Provider, bool) {
	b, ok := builtin[name]
	p := DefaultProvider()
	p.BaseURL = b.BaseURL
	if b.Auth != "" {
		p.Auth = b.Auth
	}
	return p, ok
}
