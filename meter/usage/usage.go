// Package usage holds the questions that tenants and operators ask of the
// records: who called what, how much of it, how fast, and what went wrong. The
// answers come from hourly sums, so they cost the same whatever the traffic.
//
// No answer has an amount of money: a provider bills its tokens to the tenant.
package usage

import (
	"fmt"
	"time"
)

// By is what rows are grouped by.
type By string

// The groupings.
const (
	ByHour       By = "hour"
	ByDay        By = "day"
	ByModel      By = "model"
	ByToken      By = "token"
	ByCredential By = "credential"
	ByTenant     By = "tenant"
	ByProvider   By = "provider"
)

// ParseBy reads a grouping; empty is by day.
func ParseBy(s string) (By, error) {
	switch by := By(s); by {
	case "":
		return ByDay, nil
	case ByHour, ByDay, ByModel, ByToken, ByCredential, ByTenant, ByProvider:
		return by, nil
	}
	return "", fmt.Errorf("by is %q; want hour, day, model, token, credential, tenant or provider", s)
}

// Question asks for sums.
type Question struct {
	Tenant string // empty for all of them
	Token  string // id; empty for all
	// From and To bound when requests began, From included. Whole hours are
	// summed: see Whole.
	From, To time.Time
	By       By
	// Limit bounds the rows; zero is all of them.
	Limit int
	// After is the last row of the page before.
	After Cursor
}

// Cursor is a row's place in the order of an answer.
type Cursor struct {
	Set         bool
	Tenant, Key string // Tenant only if rows are PerTenant
}

// PerTenant reports whether a row is of one tenant: ids belong to one. Over all
// tenants such rows are ordered by tenant, then key; others by key.
func (q Question) PerTenant() bool { return q.By == ByToken || q.By == ByCredential }

// Whole widens the question to whole hours in UTC.
func (q Question) Whole() Question {
	q.From = q.From.UTC().Truncate(time.Hour)
	if to := q.To.UTC().Truncate(time.Hour); to.Before(q.To) {
		q.To = to.Add(time.Hour)
	} else {
		q.To = to
	}
	return q
}

// Sums are what happened in a group.
type Sums struct {
	Requests int64 `json:"requests"`
	// Refused were answered by the gateway; no provider was asked.
	Refused int64 `json:"refused"`
	// Failed reached a provider and got no usable answer, or an error of its.
	Failed int64 `json:"failed"`
	// Cancelled are those whose client left; the provider was told at once.
	Cancelled int64 `json:"cancelled"`
	Streamed  int64 `json:"streamed"`

	InputTokens      int64 `json:"input_tokens"`
	OutputTokens     int64 `json:"output_tokens"`
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens"`
	// UnknownUsage counts calls that reached a provider which reported no
	// counts, or only a part: the sums above are without them.
	UnknownUsage int64 `json:"unknown_usage"`

	RequestBytes  int64 `json:"request_bytes"`
	ResponseBytes int64 `json:"response_bytes"`

	MemoryHits     int64 `json:"memory_hits"`
	MemoryRecalled int64 `json:"memory_recalled"`

	// Streams that ended by themselves and reported their output, with their
	// events and tokens; and streams that clients have left.
	WholeStreams      int64 `json:"-"`
	WholeEvents       int64 `json:"-"`
	WholeOutputTokens int64 `json:"-"`
	CutStreams        int64 `json:"-"`
	CutEvents         int64 `json:"-"`
}

// Latency is a distribution in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
}

// Row is the answer for one group.
type Row struct {
	// Key is the group: an hour or a day (RFC 3339), the name of a model, or an
	// id.
	Key string `json:"key"`
	// Tenant is whose id it is, when all tenants were asked for.
	Tenant string `json:"tenant,omitempty"`
	// Label is what people call the id.
	Label string `json:"label,omitempty"`
	Sums
	// SavedOutputTokens estimates the output that was not generated because
	// cancelled streams were stopped at the provider.
	SavedOutputTokens int64 `json:"cancelled_saved_output_tokens_estimate"`
	// Total is from admission to the last byte; FirstByte from asking the
	// provider to its answer's head.
	Total     Latency `json:"latency"`
	FirstByte Latency `json:"time_to_first_byte"`
}

// Finish fills what follows from the sums.
func (r *Row) Finish() { r.SavedOutputTokens = r.saved() }

// saved supposes that a stream that was left would have grown as long as those
// of the same group that were not: the mean output of a whole stream, less what
// the cut ones had sent by then, counted in events.
func (s *Sums) saved() int64 {
	if s.CutStreams == 0 || s.WholeStreams == 0 || s.WholeEvents == 0 {
		return 0
	}
	whole := float64(s.WholeOutputTokens) / float64(s.WholeStreams) * float64(s.CutStreams)
	sent := float64(s.WholeOutputTokens) / float64(s.WholeEvents) * float64(s.CutEvents)
	const most = 1 << 62 // a float beyond the range of int64 becomes any number
	return int64(min(max(0, whole-sent), most))
}
