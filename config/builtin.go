package config

// Definition is what the gateway knows of a provider without being configured.
type Definition struct {
	BaseURL string // from the provider's API reference, 2026-11
	Auth    string // empty is AuthBearer
	// ReasoningApart: output that it reports leaves out reasoning tokens, which it
	// bills as output (xAI's documentation, "Consumption and rate limits", 2026-11).
	ReasoningApart bool
}

// builtin are the providers that need no entry.
var builtin = map[string]Definition{
	"openai":     {BaseURL: "https://api.openai.com/v1"},
	"anthropic":  {BaseURL: "https://api.anthropic.com/v1", Auth: AuthXAPIKey},
	"groq":       {BaseURL: "https://api.groq.com/openai/v1"},
	"together":   {BaseURL: "https://api.together.xyz/v1"},
	"fireworks":  {BaseURL: "https://api.fireworks.ai/inference/v1"},
	"mistral":    {BaseURL: "https://api.mistral.ai/v1"},
	"deepseek":   {BaseURL: "https://api.deepseek.com/v1"},
	"xai":        {BaseURL: "https://api.x.ai/v1", ReasoningApart: true},
	"openrouter": {BaseURL: "https://openrouter.ai/api/v1"},
	"gemini":     {BaseURL: "https://generativelanguage.googleapis.com/v1beta/openai"},
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
