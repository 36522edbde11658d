package usage

import "github.com/ownkey/ownkey/meter"

// SumNames are the columns of sums, in the order of Sums.Pointers.
var SumNames = []string{
	"requests", "refused", "failed", "cancelled", "streamed",
	"input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "unknown_usage",
	"request_bytes", "response_bytes", "memory_hits", "memory_recalled",
	"whole_streams", "whole_events", "whole_output_tokens", "cut_streams", "cut_events",
}

// Pointers are the sums in the order of SumNames.
func (s *Sums) Pointers() []*int64 {
	return []*int64{
		&s.Requests, &s.Refused, &s.Failed, &s.Cancelled, &s.Streamed,
		&s.InputTokens, &s.OutputTokens, &s.CachedTokens, &s.CacheWriteTokens, &s.ReasoningTokens, &s.UnknownUsage,
		&s.RequestBytes, &s.ResponseBytes, &s.MemoryHits, &s.MemoryRecalled,
		&s.WholeStreams, &s.WholeEvents, &s.WholeOutputTokens, &s.CutStreams, &s.CutEvents,
	}
}

// Add adds o to s. A sum that would leave the range stays at its end.
func (s *Sums) Add(o *Sums) {
	from := o.Pointers()
	for i, p := range s.Pointers() {
		*p = meter.Add(*p, *from[i])
	}
}

// SumsOf is what one request adds. The ClickHouse schema says the same in SQL;
// a test holds the two together.
func SumsOf(r *meter.Record) Sums {
	cancelled := r.Outcome == meter.OutcomeClientCancelled
	refused := r.Outcome == meter.OutcomeRefused
	failed := !cancelled && !refused && (r.Outcome != meter.OutcomeCompleted || r.Status >= 400)
	s := Sums{
		Requests: 1, Refused: one(refused), Failed: one(failed), Cancelled: one(cancelled), Streamed: one(r.Streamed),
		InputTokens: r.InputTokens.N, OutputTokens: r.OutputTokens.N, CachedTokens: r.CachedTokens.N,
		CacheWriteTokens: r.CacheWrites.N, ReasoningTokens: r.ReasoningTokens.N,
		UnknownUsage: one(r.Attempt > 0 && r.UsageSource != meter.UsageProvider),
		RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes,
		MemoryHits: one(r.Memory == meter.MemoryHit), MemoryRecalled: r.MemoryRecalled,
	}
	if r.Streamed && r.Outcome == meter.OutcomeCompleted && r.OutputTokens.Set {
		s.WholeStreams, s.WholeEvents, s.WholeOutputTokens = 1, r.Events, r.OutputTokens.N
	}
	if r.Streamed && cancelled {
		s.CutStreams, s.CutEvents = 1, r.Events
	}
	return s
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ModelOf is the model that a request is counted under: the one served, or the
// one asked for where none was. A request that no provider was asked for is
// counted under none: anybody can make up names. The ClickHouse schema says the
// same in SQL.
func ModelOf(r *meter.Record) string {
	if r.Attempt == 0 {
		return ""
	}
	if r.ModelServed != "" {
		return r.ModelServed
	}
	return r.ModelAsked
}
