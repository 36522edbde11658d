package meter

import (
	"time"

	"github.com/google/uuid"
)

// MemoryOp says what happened to memories.
type MemoryOp uint8

// What happens to memories.
const (
	MemoryStored    MemoryOp = iota // Count memories were stored
	MemoryDeleted                   // Count memories were deleted
	MemoryRetrieved                 // Count retrievals were issued
)

var memoryOpNames = [...]string{"stored", "deleted", "retrieved"}

// String gives the operation's name.
func (o MemoryOp) String() string { return memoryOpNames[o] }

// MemoryEvent is what the platform bills.
type MemoryEvent struct {
	EventID   uuid.UUID // UUIDv7
	At        time.Time // µs, UTC
	TenantID  string
	TokenID   string
	BucketID  string
	RequestID uuid.UUID
	Op        MemoryOp
	Count     int64
	Bytes     int64
}
