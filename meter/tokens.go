package meter

// bytesPerToken is a common rule of thumb for English text (OpenAI's
// documentation, "What are tokens", 2026-11). It only stands in where a
// provider reports nothing.
const bytesPerToken = 4

// EstimateTokens guesses the tokens of a body of n bytes.
func EstimateTokens(n int64) int64 { return (n + bytesPerToken - 1) / bytesPerToken }

// Names of wire's dialects that count in their own way: Messages counts cached
// input apart, and an answer with embeddings has no output tokens.
const (
	messagesEndpoint   = "messages"
	embeddingsEndpoint = "embeddings"
)

// Tokens is what the request has used up, input and output together: what its
// provider reported, or an estimate where it did not come to that or the
// provider reports nothing unless it is asked to. It feeds limits and budgets,
// never a bill. It is at most [MaxNumber].
func (r *Record) Tokens() int64 {
	if r.Counted.Set {
		return r.Counted.N
	}
	text := r.ResponseBytes
	if r.Streamed {
		text = 0 // its events say more
	}
	return Bound(r.count(text)) // of a gateway that died, or that did not settle yet
}

// Settle fixes what Tokens gives. text is how many bytes of text the answer had,
// as far as it came; before is what an earlier request has counted for the same
// work of the provider.
func (r *Record) Settle(text, before int64) {
	r.Counted = Count{Bound(r.count(text) - before), true}
}

func (r *Record) count(text int64) int64 {
	in, out := Bound(r.InputTokens.N), Bound(r.OutputTokens.N)
	if r.Endpoint == messagesEndpoint {
		in += Bound(r.CachedTokens.N) + Bound(r.CacheWrites.N)
	}
	if !r.estimated() {
		return in + out
	}
	if !r.InputTokens.Set {
		in = EstimateTokens(Bound(r.RequestBytes))
	}
	if r.Endpoint == embeddingsEndpoint {
		return in + out
	}
	said := EstimateTokens(Bound(text))
	if r.Streamed {
		said = max(said, Bound(r.Events)) // a chunk of a stream is a token, or a few
	}
	return in + max(out, said)
}

// estimated reports whether what the provider reported is not all: it was asked
// for an answer and did not say what the answer cost.
func (r *Record) estimated() bool {
	whole := r.UsageSource == UsageProvider && (r.OutputTokens.Set || r.Endpoint == embeddingsEndpoint)
	return !whole && r.Attempt > 0 && r.Status < 400 && r.RequestBytes > 0 && r.Endpoint != "none"
}
