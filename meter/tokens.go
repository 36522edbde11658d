package meter

// bytesPerToken is a common rule of thumb for English text (OpenAI's
// documentation, "What are tokens", 2026-11). It only stands in where a
// provider reports nothing.
const bytesPerToken = 4

// EstimateTokens guesses the tokens of a body of n bytes.
func EstimateTokens(n int64) int64 { return (n + bytesPerToken - 1) / bytesPerToken }

// messagesEndpoint is wire's name for the dialect that counts cached input
// apart.
const messagesEndpoint = "messages"

// Tokens is what the request has used up, input and output together: what its
// provider reported, or an estimate where it did not come to that or the
// provider reports nothing unless it is asked to. It feeds limits and budgets,
// never a bill.
//
// Each count is bounded first, so the result is at most four times [MaxNumber].
func (r *Record) Tokens() int64 {
	n := Bound(r.InputTokens.N) + Bound(r.OutputTokens.N)
	if r.Endpoint == messagesEndpoint {
		n += Bound(r.CachedTokens.N) + Bound(r.CacheWrites.N)
	}
	if r.UsageSource == UsageProvider || r.Attempt == 0 || r.Status >= 400 || r.RequestBytes == 0 || r.Endpoint == "none" {
		return n
	}
	said := Bound(r.Events) // a chunk of a stream is a token, or a few
	if !r.Streamed {
		said = EstimateTokens(Bound(r.ResponseBytes))
	}
	return max(n, EstimateTokens(Bound(r.RequestBytes))+said)
}
