package meter

import (
	"time"

	"github.com/google/uuid"
)

// Unseal is one unseal that a key store is about to be asked for. It is
// recorded first, so that whatever the key store's own log shows is either
// here or not ours.
type Unseal struct {
	EventID      uuid.UUID // UUIDv7 of this record: a hedged unseal has two
	ID           string    // UUIDv7; the key store logs it too
	At           time.Time
	TenantID     string
	CredentialID string
	Keyring      string
	Hedge        bool // it is asked for a second time
}

// Columns implements Row.
func (u *Unseal) Columns(v Visitor) {
	v.UUID("event_id", &u.EventID)
	v.ID("unseal", &u.ID)
	v.Time("at", &u.At)
	v.Name("tenant", &u.TenantID)
	v.Name("credential", &u.CredentialID)
	v.Name("keyring", &u.Keyring)
	v.Flag("hedge", &u.Hedge)
}
