package evidence

import (
	"regexp"
	"slices"
	"strings"
)

// Scan is what was looked at to find a credential of the platform's own: one
// that calls could be made with that no tenant has brought.
type Scan struct {
	// None: nothing was found.
	None bool `json:"none_found"`
	// Settings is how many values of the configuration were looked at, and
	// Variables how many of the environment.
	Settings  int `json:"settings"`
	Variables int `json:"environment_variables"`
	// Found names what looks like a provider's credential, never its value.
	Found []string `json:"found"`
}

// Settings calls each for every value of a configuration, with its path. value
// is lent for the call.
type Settings func(each func(path string, value []byte))

// vendors are names that stand in variables with a provider's key.
var vendors = []string{
	"OPENAI", "ANTHROPIC", "GROQ", "TOGETHER", "FIREWORKS", "MISTRAL", "DEEPSEEK", "XAI", "OPENROUTER", "GEMINI", "GOOGLE_API", "COHERE", "AZURE_OPENAI",
	"PERPLEXITY", "CEREBRAS", "HUGGINGFACE", "HF_TOKEN", "REPLICATE", "VOYAGE",
}

// secretValue is how the providers' keys begin (the providers' documentation,
// 2026-11).
var secretValue = regexp.MustCompile(`^(sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{16,}|pplx-[A-Za-z0-9]{16,}|r8_[A-Za-z0-9]{16,})$`)

// Look scans the environment of the process and the values of its
// configuration.
func Look(environment []string, settings Settings) Scan {
	s := Scan{Variables: len(environment), Found: []string{}}
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		if value != "" && (secretValue.MatchString(value) || vendorKey(strings.ToUpper(name))) {
			s.Found = append(s.Found, "environment variable "+name)
		}
	}
	settings(func(path string, value []byte) {
		s.Settings++
		if secretValue.Match(value) {
			s.Found = append(s.Found, "setting "+path)
		}
	})
	slices.Sort(s.Found)
	s.None = len(s.Found) == 0
	return s
}

// vendorKey reports whether a variable is called as a provider's key is.
func vendorKey(name string) bool {
	if !strings.Contains(name, "KEY") && !strings.Contains(name, "TOKEN") && !strings.Contains(name, "SECRET") {
		return false
	}
	return slices.ContainsFunc(vendors, func(v string) bool { return strings.Contains(name, v) })
}
