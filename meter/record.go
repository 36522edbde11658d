package meter

import (
	"time"

	"github.com/google/uuid"
)

// Outcome says how a request ended.
type Outcome uint8

// The ways a request ends. Their numbers are in the ledger: new ones go to the
// end.
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
	// OutcomeInterrupted: the gateway died after it had asked the provider. The
	// record is what was known by then.
	OutcomeInterrupted
)

// OutcomeNames are the outcomes as dashboards show them.
var OutcomeNames = []string{
	"refused", "completed", "client_cancelled", "upstream_truncated", "upstream_timeout", "upstream_error", "internal_error", "interrupted",
}

// String gives the outcome's name.
func (o Outcome) String() string { return OutcomeNames[o] }

// UsageSource says where the counts of tokens come from.
type UsageSource uint8

// The sources of counts.
const (
	// UsageNone: the provider reported none.
	UsageNone UsageSource = iota
	// UsageProvider: reported by the provider, in an answer that ended.
	UsageProvider
	// UsagePartial: what is known of an answer that was cut, or that a dead
	// gateway was relaying. There may have been more.
	UsagePartial
)

// UsageSourceNames are the sources as dashboards show them.
var UsageSourceNames = []string{"none", "provider", "partial"}

// String gives the source's name.
func (u UsageSource) String() string { return UsageSourceNames[u] }

// MemoryOutcome says what became of recall.
type MemoryOutcome uint8

// The ends of recall.
const (
	MemoryOff MemoryOutcome = iota
	MemoryHit
	MemoryEmpty
	MemoryTimeout
	MemoryError
)

// MemoryOutcomeNames are the ends of recall as dashboards show them.
var MemoryOutcomeNames = []string{"off", "hit", "empty", "timeout", "error"}

// String gives the outcome's name.
func (m MemoryOutcome) String() string { return MemoryOutcomeNames[m] }

// ErrorCause says why a provider gave no whole response. Package upstream finds
// it; the words are the same there.
type ErrorCause uint8

// ErrorCauseNames are the causes as dashboards show them, by their numbers. New
// ones go to the end: numbers are in the ledger.
var ErrorCauseNames = []string{
	"none", "dns", "refused", "unroutable", "timeout", "tls_handshake", "tls_certificate", "alpn", "proxy", "own_descriptors",
	"egress_denied", "closed", "reset", "first_byte_timeout", "idle_timeout", "total_timeout", "bad_response", "truncated", "other", "proxy_auth",
}

// String gives the cause's name.
func (c ErrorCause) String() string { return ErrorCauseNames[c] }

// Record is one finished request. Its strings are ids, names from our own
// tables, and names of models and organizations that were checked to be plain
// identifiers: no text of a client or a provider fits in, and no price.
type Record struct {
	EventID   uuid.UUID // UUIDv7 of this record; that of a request's first attempt is the request's own id
	RequestID uuid.UUID // UUIDv7, made at admission
	Start     time.Time

	TenantID     string
	TokenID      string
	CredentialID string
	KeyVersion   int64
	Fingerprint  string // of the secret: a keyed hash
	UnsealID     string // of the unseal that the secret came from; several requests may share one

	Provider             string
	Endpoint             string // wire's name for the dialect, "none" for any other path
	ModelAsked           string
	ModelServed          string
	ProviderRequestID    string
	ProviderOrganization string // whose account the provider says that it used
	SDK                  string // x-stainless-lang, one of a fixed list
	SDKRetries           int64

	Outcome   Outcome
	ErrorCode string // ours, from the contract's table; empty when the provider answered
	Status    int64  // what the client got; 0 when it got none
	Streamed  bool
	Attempt   int64 // 1 for the first; 0 when no provider was asked

	RequestBytes  int64
	ResponseBytes int64
	Events        int64

	UsageSource     UsageSource
	InputTokens     Count
	OutputTokens    Count
	CachedTokens    Count
	CacheWrites     Count
	ReasoningTokens Count

	Memory         MemoryOutcome
	MemoryRecalled int64 // memories in the block that was injected
	MemoryTokens   int64 // the block's size, as we estimate it

	AuthTime      time.Duration
	UnsealTime    time.Duration
	RecallTime    time.Duration
	FirstByteTime time.Duration // from sending the attempt to the answer's head
	TotalTime     time.Duration
	CacheHit      bool // the credential was in memory

	ErrorCause ErrorCause // why the provider gave no whole response

	// Counted is what limits and budgets count for the request, once it was
	// settled. It is in the ledger and in what is printed of it; stores have no
	// column for it, since it is an estimate in part.
	Counted Count
}

// Columns implements Row.
func (r *Record) Columns(v Visitor) {
	v.UUID("event_id", &r.EventID)
	v.UUID("request_id", &r.RequestID)
	v.Time("started_at", &r.Start)
	v.Name("tenant", &r.TenantID)
	v.Name("token", &r.TokenID)
	v.Name("credential", &r.CredentialID)
	v.Number("key_version", &r.KeyVersion)
	v.Name("fingerprint", &r.Fingerprint)
	v.ID("unseal", &r.UnsealID)
	v.Name("provider", &r.Provider)
	v.Name("endpoint", &r.Endpoint)
	v.Name("model", &r.ModelAsked)
	v.Name("model_served", &r.ModelServed)
	v.ID("provider_request_id", &r.ProviderRequestID)
	v.Name("provider_organization", &r.ProviderOrganization)
	v.Name("sdk", &r.SDK)
	v.Number("sdk_retries", &r.SDKRetries)
	v.Enum("outcome", (*uint8)(&r.Outcome), OutcomeNames)
	v.Name("error_code", &r.ErrorCode)
	v.Number("status", &r.Status)
	v.Flag("streamed", &r.Streamed)
	v.Number("attempt", &r.Attempt)
	v.Number("request_bytes", &r.RequestBytes)
	v.Number("response_bytes", &r.ResponseBytes)
	v.Number("events", &r.Events)
	v.Enum("usage_source", (*uint8)(&r.UsageSource), UsageSourceNames)
	v.Count("input_tokens", &r.InputTokens)
	v.Count("output_tokens", &r.OutputTokens)
	v.Count("cached_tokens", &r.CachedTokens)
	v.Count("cache_write_tokens", &r.CacheWrites)
	v.Count("reasoning_tokens", &r.ReasoningTokens)
	v.Enum("memory", (*uint8)(&r.Memory), MemoryOutcomeNames)
	v.Number("memory_recalled", &r.MemoryRecalled)
	v.Number("memory_tokens", &r.MemoryTokens)
	v.Duration("auth_us", &r.AuthTime)
	v.Duration("unseal_us", &r.UnsealTime)
	v.Duration("recall_us", &r.RecallTime)
	v.Duration("first_byte_us", &r.FirstByteTime)
	v.Duration("total_us", &r.TotalTime)
	v.Flag("cache_hit", &r.CacheHit)
	v.Enum("error_cause", (*uint8)(&r.ErrorCause), ErrorCauseNames)
	if _, ok := v.(ledgerVisitor); ok {
		r.ledgerColumns(v)
	}
}

// ledgerColumns are those that ClickHouse does not have.
func (r *Record) ledgerColumns(v Visitor) { v.Count("counted_tokens", &r.Counted) }

// Interrupt makes what was known of a request that was open when its process
// died its record.
func (r *Record) Interrupt() { r.Outcome, r.UsageSource = OutcomeInterrupted, UsagePartial }
