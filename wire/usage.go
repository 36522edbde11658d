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

// UsageRules say where a provider's counts differ from those of the dialect that
// it speaks. The zero value is what most providers do.
type UsageRules struct {
	// ReasoningApart: the output that is reported leaves out the reasoning, which
	// is billed as output all the same (xAI: "counted separately from
	// completion_tokens", its documentation, 2026-11).
	ReasoningApart bool
}

// reported is what usage objects have said so far, as they have said it.
type reported struct {
	Usage
	total    Count
	thoughts bool // from Gemini's own API, whose reasoning is always apart
	// steps are the sums over usage.iterations, where Anthropic lists each sampling
	// of a call. Its counts beside them leave out those of compaction and of advisors
	// (its documentation, "Compaction", 2026-11).
	steps Usage
}

// setStep adds a count of one of the iterations.
func (r *reported) setStep(name key, n int64) {
	switch name {
	case keyInputTokens:
		r.steps.Input.add(n)
	case keyOutputTokens:
		r.steps.Output.add(n)
	case keyCacheRead:
		r.steps.CachedInput.add(n)
	case keyCacheCreation:
		r.steps.CacheWrite.add(n)
	}
}

// add sums up, as far as counts go.
func (c *Count) add(n int64) { *c = Count{min(c.N+n, maxCount), true} }

// set keeps a count under the member's name; unknown names are ignored. A count
// never shrinks: reports are cumulative in every dialect, and a last event that
// says 0 for what an earlier one has counted knows less, not better.
func (r *reported) set(name key, n int64) {
	switch name {
	case keyPromptTokens, keyInputTokens:
		r.Input.raise(n)
	case keyCompletionTokens, keyOutputTokens:
		r.Output.raise(n)
	case keyCachedTokens, keyCacheRead:
		r.CachedInput.raise(n)
	case keyCacheCreation:
		r.CacheWrite.raise(n)
	case keyReasoningTokens:
		r.Reasoning.raise(n)
	case keyTotalTokens:
		r.total.raise(n)
	}
}

// raise takes a count that is not smaller than what was counted before.
func (c *Count) raise(n int64) {
	if !c.Set || n > c.N {
		*c = Count{n, true}
	}
}

// merge takes the counts that a later report has.
func (r *reported) merge(later *reported) {
	for _, c := range [...]struct{ to, from *Count }{
		{&r.Input, &later.Input},
		{&r.Output, &later.Output},
		{&r.CachedInput, &later.CachedInput},
		{&r.CacheWrite, &later.CacheWrite},
		{&r.Reasoning, &later.Reasoning},
		{&r.total, &later.total},
		{&r.steps.Input, &later.steps.Input},
		{&r.steps.Output, &later.steps.Output},
		{&r.steps.CachedInput, &later.steps.CachedInput},
		{&r.steps.CacheWrite, &later.steps.CacheWrite},
	} {
		if c.from.Set {
			c.to.raise(c.from.N)
		}
	}
	r.thoughts = r.thoughts || later.thoughts
}

// by gives what was reported as input and output. Where there is a total, the
// two never add up to less: what it has beyond them is output that was not
// listed, such as reasoning. A total without its parts is input. Reasoning that is
// larger than the output cannot be a part of it.
func (r *reported) by(d Dialect, rules UsageRules) Usage {
	u := r.Usage
	for _, c := range [...]struct{ to, from *Count }{
		{&u.Input, &r.steps.Input}, {&u.Output, &r.steps.Output}, {&u.CachedInput, &r.steps.CachedInput}, {&u.CacheWrite, &r.steps.CacheWrite},
	} {
		if c.from.Set {
			c.to.raise(c.from.N)
		}
	}
	switch {
	case d == DialectMessages && (u.Input.Set || u.Output.Set):
		// The dialect has no total: cached input is counted beside the input.
	case !r.total.Set:
		if (rules.ReasoningApart || r.thoughts) && u.Output.Set {
			u.Output.N += u.Reasoning.N
		}
	case !u.Input.Set && !u.Output.Set:
		u.Input = r.total
	case !u.Input.Set:
		u.Input = Count{max(0, r.total.N-u.Output.N), true}
	case r.total.N > u.Input.N+u.Output.N:
		u.Output = Count{r.total.N - u.Input.N, true}
	}
	if u.Output.Set && u.Reasoning.N > u.Output.N {
		u.Output.N += u.Reasoning.N
	}
	return u
}

// key is a member name that the scanner knows.
type key uint8

const (
	keyUnknown key = iota
	keyElement     // any element of an array
	keyUsage
	keyUsageMetadata // Gemini's own API
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
	keyTotalTokens
	keyTokenDetails // prompt_tokens_details and its kin
	keyIterations
	keyResult
	keyMeta
	keyUnits // tokens and billed_units of Cohere
	keyID
	keyRequestID
	keyStatus
	keyBackground
	keyOutput
	keyLogprobs
	keyText // any member that carries text
)

// keyOf knows the names of OpenAI's, Anthropic's and Gemini's bodies, and what
// others call the same: DeepSeek's prompt_cache_hit_tokens, OpenRouter's
// cache_write_tokens, Mistral's num_cached_tokens, Bedrock's inputTokens (provider
// references, 2026-11).
func keyOf(name []byte) key {
	switch string(name) {
	case "usage":
		return keyUsage
	case "usageMetadata":
		return keyUsageMetadata
	case "response":
		return keyResponse
	case "message":
		return keyMessage
	case "x_groq":
		return keyXGroq
	case "model", "modelVersion":
		return keyModel
	case "type":
		return keyType
	case "error":
		return keyError
	case "choices":
		return keyChoices
	case "finish_reason":
		return keyFinishReason
	case "prompt_tokens", "promptTokenCount":
		return keyPromptTokens
	case "input_tokens", "inputTokens":
		return keyInputTokens
	case "completion_tokens", "candidatesTokenCount":
		return keyCompletionTokens
	case "output_tokens", "outputTokens":
		return keyOutputTokens
	case "cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cachedContentTokenCount":
		return keyCachedTokens
	case "cache_read_input_tokens", "cacheReadInputTokens":
		return keyCacheRead
	case "cache_creation_input_tokens", "cache_write_tokens", "cacheWriteInputTokens":
		return keyCacheCreation
	case "reasoning_tokens", "thoughtsTokenCount":
		return keyReasoningTokens
	case "total_tokens", "totalTokens", "totalTokenCount":
		return keyTotalTokens
	case "prompt_tokens_details", "input_tokens_details", "completion_tokens_details", "output_tokens_details":
		return keyTokenDetails
	case "iterations":
		return keyIterations
	case "result":
		return keyResult
	case "meta":
		return keyMeta
	case "tokens", "billed_units":
		return keyUnits
	case "id":
		return keyID
	case "request_id":
		return keyRequestID
	case "status", "processing_status": // Anthropic's batches
		return keyStatus
	case "background":
		return keyBackground
	case "output":
		return keyOutput
	case "logprobs":
		return keyLogprobs
	case "content", "reasoning_content", "reasoning", "refusal", "arguments", "delta", "text", "thinking", "partial_json", "transcript":
		return keyText
	}
	return keyUnknown
}
