package meter

import (
	"time"

	"github.com/rs/zerolog"
)

// Outcome says how a request ended.
type Outcome uint8

// The ways a request ends.
const (
	// OutcomeRefused: we answered with an error of ours; no provider was asked.
	OutcomeRefused Outcome = iota
	// OutcomeCompleted: the provider's whole answer, whatever its status, was
	// relayed.
	OutcomeCompleted
	// OutcomeClientCancelled: the client left before the end.
	OutcomeClientCancelled
	// OutcomeUpstreamTruncated: the answer began and was cut.
	OutcomeUpstreamTruncated
	// OutcomeUpstreamTimeout: a limit passed while waiting for the provider.
	OutcomeUpstreamTimeout
	// OutcomeUpstreamError: no usable answer began.
	OutcomeUpstreamError
	// OutcomeInternalError: our own fault.
	OutcomeInternalError
)

var outcomeNames = [...]string{
	"refused", "completed", "client_cancelled", "upstream_truncated", "upstream_timeout", "upstream_error", "internal_error",
}

// String gives the outcome's name as dashboards show it.
func (o Outcome) String() string { return outcomeNames[o] }

// UsageSource says where the counts of tokens come from.
type UsageSource uint8

// The sources of counts.
const (
	// UsageNone: the provider reported none.
	UsageNone UsageSource = iota
	// UsageProvider: reported by the provider, in an answer that ended.
	UsageProvider
	// UsagePartial: reported by the provider before the answer was cut.
	UsagePartial
)

var usageSourceNames = [...]string{"none", "provider", "partial"}

// String gives the source's name.
func (u UsageSource) String() string { return usageSourceNames[u] }

// Count is a number that a provider may not have reported: unknown is not
// zero.
type Count struct {
	N   int64
	Set bool
}

// Record is one finished request. Its strings are ids, names from our own
// tables, and names of models and organizations that were checked to be plain
// identifiers: no text of a client or a provider fits in.
type Record struct {
	RequestID string // UUIDv7, made at admission
	Start     time.Time

	TenantID     string
	TokenID      string
	CredentialID string
	KeyVersion   int

	Provider             string
	Endpoint             string // wire's name for the dialect, "none" for any other path
	ModelAsked           string
	ModelServed          string
	ProviderRequestID    string
	ProviderOrganization string
	SDK                  string // x-stainless-lang, one of a fixed list
	SDKRetries           int

	Outcome   Outcome
	ErrorCode string // ours, from the contract's table; empty when the provider answered
	Status    int    // what the client got
	Streamed  bool
	Attempts  int

	RequestBytes  int64
	ResponseBytes int64
	Events        int64

	UsageSource     UsageSource
	InputTokens     Count
	OutputTokens    Count
	CachedTokens    Count
	CacheWrites     Count
	ReasoningTokens Count

	AuthTime      time.Duration
	UnsealTime    time.Duration
	FirstByteTime time.Duration // from sending the attempt to the answer's head
	TotalTime     time.Duration
	CacheHit      bool // the credential was in memory
}

// MarshalZerologObject writes the record's columns. It is the only encoding:
// the local log and the request's log line cannot differ.
func (r *Record) MarshalZerologObject(e *zerolog.Event) {
	e.Str("request_id", r.RequestID).
		Int64("start_unix_us", r.Start.UnixMicro()).
		Str("tenant", r.TenantID).
		Str("token", r.TokenID).
		Str("credential", r.CredentialID).
		Int("key_version", r.KeyVersion).
		Str("provider", r.Provider).
		Str("endpoint", r.Endpoint).
		Str("model", r.ModelAsked).
		Str("model_served", r.ModelServed).
		Str("provider_request_id", r.ProviderRequestID).
		Str("provider_organization", r.ProviderOrganization).
		Str("sdk", r.SDK).
		Int("sdk_retries", r.SDKRetries).
		Str("outcome", r.Outcome.String()).
		Str("error_code", r.ErrorCode).
		Int("status", r.Status).
		Bool("streamed", r.Streamed).
		Int("attempts", r.Attempts).
		Int64("request_bytes", r.RequestBytes).
		Int64("response_bytes", r.ResponseBytes).
		Int64("events", r.Events).
		Str("usage_source", r.UsageSource.String())
	count(e, "input_tokens", r.InputTokens)
	count(e, "output_tokens", r.OutputTokens)
	count(e, "cached_tokens", r.CachedTokens)
	count(e, "cache_write_tokens", r.CacheWrites)
	count(e, "reasoning_tokens", r.ReasoningTokens)
	e.Int64("auth_us", r.AuthTime.Microseconds()).
		Int64("unseal_us", r.UnsealTime.Microseconds()).
		Int64("first_byte_us", r.FirstByteTime.Microseconds()).
		Int64("total_us", r.TotalTime.Microseconds()).
		Bool("cache_hit", r.CacheHit)
}

// count leaves an unknown count out.
func count(e *zerolog.Event, name string, c Count) {
	if c.Set {
		e.Int64(name, c.N)
	}
}
