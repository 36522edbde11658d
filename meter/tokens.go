package meter

// bytesPerToken is a common rule of thumb for English text (OpenAI's
// documentation, "What are tokens", 2026-11). It only stands in where a
// provider reports nothing.
const bytesPerToken = 4

// EstimateTokens guesses the tokens of a body of n bytes.
func EstimateTokens(n int64) int64 { return (n + bytesPerToken - 1) / bytesPerToken }

// Names of wire's dialects that count in their own way: Messages counts cached
// input apart, an answer with embeddings has no output tokens, and of none nobody
// knows whether a model was asked.
const (
	messagesEndpoint   = "messages"
	embeddingsEndpoint = "embeddings"
	noEndpoint         = "none"
)

// Tokens is what the request has used up, input and output together: what its
// provider reported, or an estimate where it did not come to that or the
// provider reports nothing unless it is asked to. It feeds limits and budgets,
// never a bill. It is at most [MaxNumber].
func (r *Record) Tokens() int64 {
	if r.Counted.Set {
		return r.Counted.N
	}
	// Of a gateway that died, or that did not settle yet.
	asked, text := r.RequestBytes, r.ResponseBytes
	if r.Streamed {
		text = 0 // its events say more
	}
	if r.Endpoint == noEndpoint || asked == 0 {
		asked, text = 0, 0
	}
	return Bound(r.count(asked, text))
}

// Settle fixes what Tokens gives. Where the provider reports nothing, asked and
// text stand in: how many bytes a model was asked, and how many bytes of text the
// answer had, as far as it came. before is what earlier requests have counted for
// the same work of the provider.
func (r *Record) Settle(asked, text, before int64) {
	r.Counted = Count{Bound(r.count(asked, text) - before), true}
}

func (r *Record) count(asked, text int64) int64 {
	in, out := Bound(r.InputTokens.N), Bound(r.OutputTokens.N)
	if r.Endpoint == messagesEndpoint {
		in += Bound(r.CachedTokens.N) + Bound(r.CacheWrites.N)
	}
	if r.whole() || r.Attempt == 0 || r.refused() || asked <= 0 && text <= 0 {
		return in + out
	}
	if !r.InputTokens.Set {
		in = EstimateTokens(Bound(asked))
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

// refused reports whether the answer is an error, for which nothing is billed. A
// status of ours says nothing of the provider where the client left before there was
// an answer, or the provider had the request and did not come to its end.
func (r *Record) refused() bool {
	switch {
	case r.Status < 400:
		return false
	case r.ErrorCode == "":
		return true
	case r.Outcome == OutcomeClientCancelled, r.Outcome == OutcomeUpstreamTruncated:
		return false
	}
	switch r.ErrorCause.String() {
	case "first_byte_timeout", "idle_timeout", "total_timeout":
		return false
	}
	return true
}

// whole reports whether the provider has said what all of the answer cost.
func (r *Record) whole() bool {
	return r.UsageSource == UsageProvider && (r.OutputTokens.Set || r.Endpoint == embeddingsEndpoint)
}
