package meter

import (
	"time"

	"github.com/rs/zerolog"
)

// Unseal is one unseal that a key store is about to be asked for. It is
// recorded first, so that whatever the key store's own log shows is either
// here or not ours.
type Unseal struct {
	ID           string // UUIDv7; the key store logs it too
	At           time.Time
	TenantID     string
	CredentialID string
	Keyring      string
	Hedge        bool // it is asked for a second time
}

// MarshalZerologObject writes the unseal's columns.
func (u *Unseal) MarshalZerologObject(e *zerolog.Event) {
	e.Str("unseal", u.ID).Int64("start_unix_us", u.At.UnixMicro()).Str("tenant", u.TenantID).
		Str("credential", u.CredentialID).Str("keyring", u.Keyring)
	if u.Hedge {
		e.Bool("hedge", true)
	}
}

// Messages of the lines in the log of records.
const (
	MessageRequest = "request done"
	MessageUnseal  = "unseal"
)

// AppendUnseal adds an unseal. It goes to the log's file only. Errors are
// Append's.
func (l *Log) AppendUnseal(u *Unseal) error {
	l.unseals.Info().EmbedObject(u).Msg(MessageUnseal)
	return l.state()
}
