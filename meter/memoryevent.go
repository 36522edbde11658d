package meter

import (
	"time"

	"github.com/google/uuid"
)

// MemoryOp says what happened to memories.
type MemoryOp uint8

// What can happen to memories.
const (
	MemoryStored    MemoryOp = iota // Count memories were stored
	MemoryDeleted                   // Count memories were deleted
	MemoryRetrieved                 // Count retrievals were issued
)

// MemoryOpNames are the operations as dashboards show them.
var MemoryOpNames = []string{"stored", "deleted", "retrieved"}

// String gives the operation's name.
func (o MemoryOp) String() string { return MemoryOpNames[o] }

// MemoryEvent is what the platform bills for. It stands in a book of its own,
// which knows nothing of tokens: an invoice reads no other.
type MemoryEvent struct {
	EventID   uuid.UUID // UUIDv7
	At        time.Time
	TenantID  string
	TokenID   string
	BucketID  string
	RequestID uuid.UUID
	Op        MemoryOp
	Count     int64
	Bytes     int64
}

// Columns implements Row.
func (m *MemoryEvent) Columns(v Visitor) {
	v.UUID("event_id", &m.EventID)
	v.Time("at", &m.At)
	v.Name("tenant", &m.TenantID)
	v.Name("token", &m.TokenID)
	v.Name("bucket", &m.BucketID)
	v.UUID("request_id", &m.RequestID)
	v.Enum("op", (*uint8)(&m.Op), MemoryOpNames)
	v.Number("count", &m.Count)
	v.Number("bytes", &m.Bytes)
}
