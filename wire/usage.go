package wire

// Count is a number that may not have been reported: unknown is not zero.
type Count struct {
	N   int64
	Set bool
}

// Usage is what a provider reports of a call, in tokens. Input includes
// CachedInput in OpenAI's dialects and excludes it in Anthropic's, as the
// providers count.
type Usage struct {
	Input, Output, CachedInput, CacheWrite, Reasoning Count
}

// set keeps a count under the member's name; unknown names are ignored. A
// later report replaces an earlier one: Anthropic's are cumulative.
func (u *Usage) set(name key, n int64) {
	c := Count{n, true}
	switch name {
	case keyPromptTokens, keyInputTokens:
		u.Input = c
	case keyCompletionTokens, keyOutputTokens:
		u.Output = c
	case keyCachedTokens, keyCacheRead:
		u.CachedInput = c
	case keyCacheCreation:
		u.CacheWrite = c
	case keyReasoningTokens:
		u.Reasoning = c
	}
}

// merge takes the counts that a later report has.
func (u *Usage) merge(later *Usage) {
	for _, c := range [...]struct{ to, from *Count }{
		{&u.Input, &later.Input},
		{&u.Output, &later.Output},
		{&u.CachedInput, &later.CachedInput},
		{&u.CacheWrite, &later.CacheWrite},
		{&u.Reasoning, &later.Reasoning},
	} {
		if c.from.Set {
			*c.to = *c.from
		}
	}
}

// key is a member name that the scanner knows.
type key uint8

const (
	keyUnknown key = iota
	keyElement     // any element of an array
	keyUsage
	keyResponse
	keyMessage
	keyXGroq
	keyModel
	keyType
	keyError
	keyChoices
	keyFinishReason
	keyPromptTokens
	keyInputTokens
	keyCompletionTokens
	keyOutputTokens
	keyCachedTokens
	keyCacheRead
	keyCacheCreation
	keyReasoningTokens
	keyTokenDetails // prompt_tokens_details and its kin
)

// keyOf knows the names of OpenAI's, Anthropic's and Groq's bodies (provider
// references, 2026-11).
func keyOf(name []byte) key {
	switch string(name) {
	case "usage":
		return keyUsage
	case "response":
		return keyResponse
	case "message":
		return keyMessage
	case "x_groq":
		return keyXGroq
	case "model":
		return keyModel
	case "type":
		return keyType
	case "error":
		return keyError
	case "choices":
		return keyChoices
	case "finish_reason":
		return keyFinishReason
	case "prompt_tokens":
		return keyPromptTokens
	case "input_tokens":
		return keyInputTokens
	case "completion_tokens":
		return keyCompletionTokens
	case "output_tokens":
		return keyOutputTokens
	case "cached_tokens":
		return keyCachedTokens
	case "cache_read_input_tokens":
		return keyCacheRead
	case "cache_creation_input_tokens":
		return keyCacheCreation
	case "reasoning_tokens":
		return keyReasoningTokens
	case "prompt_tokens_details", "input_tokens_details", "completion_tokens_details", "output_tokens_details":
		return keyTokenDetails
	}
	return keyUnknown
}
