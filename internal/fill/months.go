package fill

import (
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
)

// Size is how much there is of everything.
type Size struct {
	Tenants int
	Tokens  int // of each tenant
	Hours   int // in which each token makes one request and each tenant stores memories
	Events  int // memory events of each tenant in an hour
	From    time.Time
}

// Rows gives all records of a size, in the order of time: requests, an unseal for
// each tenant and hour, memory events. A row is the caller's to keep.
func Rows(s Size) iter.Seq[meter.Row] {
	return func(yield func(meter.Row) bool) {
		for hour := range s.Hours {
			at := s.From.Add(time.Duration(hour) * time.Hour)
			for tenant := range s.Tenants {
				for row := range rowsOf(s, Tenant(tenant), at) {
					if !yield(row) {
						return
					}
				}
			}
		}
	}
}

// Tenant is the id of a tenant.
func Tenant(i int) string { return fmt.Sprintf("tenant-%06d", i) }

// Token is the id of one of a tenant's tokens.
func Token(tenant string, i int) string { return fmt.Sprintf("%s-token-%06d", tenant, i) }

// rowsOf gives what a tenant does in an hour. Of a million requests some are
// refused, some cancelled; most stream.
func rowsOf(s Size, tenant string, hour time.Time) iter.Seq[meter.Row] {
	return func(yield func(meter.Row) bool) {
		credential, unseal := tenant+"-credential", uuid.NewString()
		if !yield(&meter.Unseal{EventID: meter.NewEventID(), ID: unseal, At: hour, TenantID: tenant, CredentialID: credential, Keyring: "vault"}) {
			return
		}
		for token := range s.Tokens {
			at := hour.Add(time.Hour * time.Duration(token) / time.Duration(s.Tokens))
			r := &meter.Record{
				EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: at.Truncate(time.Microsecond), TenantID: tenant, TokenID: Token(tenant, token),
				CredentialID: credential, KeyVersion: 1, Fingerprint: "f", UnsealID: unseal, Provider: []string{"openai", "anthropic"}[token%2],
				Endpoint: "chat_completions", ModelAsked: "model", ModelServed: fmt.Sprint("model-", token%5), Attempt: 1,
				Outcome: meter.OutcomeCompleted, Status: 200, Streamed: token%4 != 0, Events: 10, UsageSource: meter.UsageProvider,
				InputTokens: meter.Count{N: int64(100 + token), Set: true}, OutputTokens: meter.Count{N: 20, Set: true},
				FirstByteTime: 100 * time.Millisecond, TotalTime: time.Duration(1+token%50) * 20 * time.Millisecond,
			}
			if token%10 == 9 {
				r.Outcome, r.UsageSource, r.InputTokens, r.OutputTokens = meter.OutcomeClientCancelled, meter.UsageNone, meter.Count{}, meter.Count{}
			}
			if !yield(r) {
				return
			}
		}
		for event := range s.Events {
			at := hour.Add(time.Hour * time.Duration(event) / time.Duration(s.Events)).Truncate(time.Microsecond)
			ops := []meter.MemoryOp{meter.MemoryStored, meter.MemoryRetrieved, meter.MemoryRetrieved, meter.MemoryDeleted}
			m := &meter.MemoryEvent{
				EventID: meter.NewEventID(), RequestID: meter.NewEventID(), At: at, TenantID: tenant, TokenID: Token(tenant, 0),
				BucketID: fmt.Sprint("bucket-", event%3), Op: ops[event%len(ops)], Count: 2, Bytes: 200,
			}
			if !yield(m) {
				return
			}
		}
	}
}
