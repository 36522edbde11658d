package meter

import (
	"slices"
	"testing"
)

func known(n int64) Count { return Count{n, true} }

// TestWhatIsCounted: what limits count of a request, by what is known of it.
func TestWhatIsCounted(t *testing.T) {
	f := func(name string, r Record, text, want int64) {
		t.Helper()
		if r.Endpoint == "" {
			r.Endpoint = "chat_completions"
		}
		r.Attempt = 1
		r.Settle(r.RequestBytes, text, 0)
		if got := r.Tokens(); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	f("reported", Record{RequestBytes: 4000, UsageSource: UsageProvider, InputTokens: known(10), OutputTokens: known(5), CachedTokens: known(8)}, 40_000, 15)
	f("reported by Anthropic", Record{RequestBytes: 4000, Endpoint: "messages", UsageSource: UsageProvider, InputTokens: known(10), OutputTokens: known(5), CachedTokens: known(8), CacheWrites: known(2)}, 0, 25)
	f("a stream of many small events", Record{RequestBytes: 400, Streamed: true, Events: 50}, 100, 150)
	f("a stream of one large event", Record{RequestBytes: 400, Streamed: true, Events: 1}, 400_000, 100_100)
	f("an event that was cut", Record{RequestBytes: 400, Streamed: true, Outcome: OutcomeClientCancelled}, 400_000, 100_100)
	f("a whole answer", Record{RequestBytes: 400}, 4000, 1100)
	f("embeddings have no output", Record{RequestBytes: 400, Endpoint: "embeddings"}, 4_000_000, 100)
	f("embeddings report input", Record{RequestBytes: 400, Endpoint: "embeddings", UsageSource: UsageProvider, InputTokens: known(90)}, 4_000_000, 90)
	f("input is reported, output is not", Record{RequestBytes: 400, Streamed: true, Events: 2, UsageSource: UsageProvider, InputTokens: known(7)}, 400, 107)
	f("cut behind a first count", Record{
		RequestBytes: 4000, Endpoint: "messages", Streamed: true, Events: 9, UsageSource: UsagePartial, Outcome: OutcomeClientCancelled,
		InputTokens: known(11), CachedTokens: known(3000), OutputTokens: known(2),
	}, 4000, 4011)
	f("cut behind a large count", Record{RequestBytes: 4000, Streamed: true, Events: 9, UsageSource: UsagePartial, InputTokens: known(11), OutputTokens: known(500)}, 40, 511)
	f("refused by the provider", Record{RequestBytes: 400, Status: 400}, 4000, 0)
	f("left before there was an answer", Record{RequestBytes: 400, Status: 499, ErrorCode: "client_gone", Outcome: OutcomeClientCancelled}, 0, 100)
	f("left while the provider's refusal came", Record{RequestBytes: 400, Status: 400, Outcome: OutcomeClientCancelled}, 40, 0)
	f("could not be reached", Record{RequestBytes: 400, Status: 502, ErrorCode: "upstream_unreachable", Outcome: OutcomeUpstreamError}, 0, 0)
	for cause, want := range map[string]int64{
		"none": 0, "dns": 0, "refused": 0, "timeout": 0, "closed": 0, "bad_response": 0, "first_byte_timeout": 1100, "idle_timeout": 1100, "total_timeout": 1100,
	} {
		f("no whole answer: "+cause, Record{RequestBytes: 400, Status: 504, ErrorCode: "x", ErrorCause: ErrorCause(slices.Index(ErrorCauseNames, cause))}, 4000, want)
	}
	f("an answer that was cut", Record{RequestBytes: 400, Status: 502, ErrorCode: "x", Outcome: OutcomeUpstreamTruncated}, 4000, 1100)
	f("a stream of a path that nobody knows", Record{RequestBytes: 400, Endpoint: "none", Streamed: true, Events: 3}, 4000, 1100)
	f("what goes on, read in part", Record{Streamed: true, Events: 3}, 4000, 1000)
	f("nothing asked, nothing said", Record{Streamed: true, Events: 3}, 0, 0)
}

// TestWhatWasCountedBefore is not counted again.
func TestWhatWasCountedBefore(t *testing.T) {
	r := Record{Attempt: 1, UsageSource: UsageProvider, InputTokens: known(100), OutputTokens: known(20)}
	for before, want := range map[int64]int64{0: 120, 30: 90, 120: 0, 500: 0} {
		if r.Settle(0, 0, before); r.Tokens() != want {
			t.Errorf("%d before: got %d, want %d", before, r.Tokens(), want)
		}
	}
}

// TestRowsOfTheDeadAreCounted: what was not settled counts by what was known.
func TestRowsOfTheDeadAreCounted(t *testing.T) {
	r := Record{Attempt: 1, Endpoint: "chat_completions", Outcome: OutcomeInterrupted, RequestBytes: 400, Streamed: true}
	if r.Tokens() != 100 {
		t.Errorf("got %d, want 100", r.Tokens())
	}
	if r.Streamed, r.ResponseBytes = false, 40; r.Tokens() != 110 {
		t.Errorf("got %d, want 110", r.Tokens())
	}
	if r.Endpoint = "none"; r.Tokens() != 0 {
		t.Errorf("got %d for what may be no model, want 0", r.Tokens())
	}
	if r.Endpoint, r.RequestBytes = "responses", 0; r.Tokens() != 0 {
		t.Errorf("got %d for what was only read, want 0", r.Tokens())
	}
}
