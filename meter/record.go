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
	// OutcomeUpstreamError: no usable answer began, or a stream ended with the
	// provider's own word that it failed.
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
	Fingerprint  string // of the secret: a keyed hash
	UnsealID     string // of the unseal that the secret came from; several requests may share one

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

// MarshalZerologObject writes the record's columns; what is empty is left out.
// It is the only encoding: the local log and the request's log line are the
// same bytes.
func (r *Record) MarshalZerologObject(e *zerolog.Event) {
	e.Str("request_id", r.RequestID).Int64("start_unix_us", r.Start.UnixMicro())
	name(e, "tenant", r.TenantID)
	name(e, "token", r.TokenID)
	name(e, "credential", r.CredentialID)
	number(e, "key_version", int64(r.KeyVersion))
	name(e, "fingerprint", r.Fingerprint)
	name(e, "unseal", r.UnsealID)
	name(e, "provider", r.Provider)
	name(e, "endpoint", r.Endpoint)
	name(e, "model", r.ModelAsked)
	name(e, "model_served", r.ModelServed)
	name(e, "provider_request_id", r.ProviderRequestID)
	name(e, "provider_organization", r.ProviderOrganization)
	name(e, "sdk", r.SDK)
	number(e, "sdk_retries", int64(r.SDKRetries))
	name(e, "error_code", r.ErrorCode)
	e.Str("outcome", r.Outcome.String()).Int("status", r.Status)
	if r.Streamed {
		e.Bool("streamed", true)
	}
	number(e, "attempts", int64(r.Attempts))
	number(e, "request_bytes", r.RequestBytes)
	number(e, "response_bytes", r.ResponseBytes)
	number(e, "events", r.Events)
	e.Str("usage_source", r.UsageSource.String())
	count(e, "input_tokens", r.InputTokens)
	count(e, "output_tokens", r.OutputTokens)
	count(e, "cached_tokens", r.CachedTokens)
	count(e, "cache_write_tokens", r.CacheWrites)
	count(e, "reasoning_tokens", r.ReasoningTokens)
	number(e, "auth_us", r.AuthTime.Microseconds())
	number(e, "unseal_us", r.UnsealTime.Microseconds())
	number(e, "first_byte_us", r.FirstByteTime.Microseconds())
	number(e, "total_us", r.TotalTime.Microseconds())
	if r.CacheHit {
		e.Bool("cache_hit", true)
	}
}

func name(e *zerolog.Event, key, value string) {
	if value != "" {
		e.Str(key, value)
	}
}

func number(e *zerolog.Event, key string, value int64) {
	if value != 0 {
		e.Int64(key, value)
	}
}

// count leaves an unknown count out.
func count(e *zerolog.Event, name string, c Count) {
	if c.Set {
		e.Int64(name, c.N)
	}
}
