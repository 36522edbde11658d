package vaultbridge

import (
	"context"
	"encoding/binary"
	"errors"
)

// What can go wrong with a keyring. Test with errors.Is.
var (
	// ErrUnsealable: the blob does not open here: it was made for another
	// context, changed, or sealed by a key version that is gone.
	ErrUnsealable = errors.New("cannot unseal credential")
	// ErrUnavailable: the key store does not answer.
	ErrUnavailable = errors.New("cannot reach key store")
	// ErrKeyFile: the master key file can not be used; the text says why.
	ErrKeyFile = errors.New("cannot use master key file")
)

// Context says where a sealed credential may be used. All four must be the
// same when it is unsealed: a row that is moved to another tenant, credential,
// provider or host does not open.
type Context struct {
	Tenant       string
	CredentialID string
	Provider     string
	Host         string // host:port in lower case
}

// contextVersion begins the encoding, so that another one can never be
// mistaken for it.
const contextVersion = "ownkey-context-v1"

// Bytes encodes the context unambiguously: a version, then each part with its
// length as four bytes, big-endian, before it.
func (c Context) Bytes() []byte {
	b := []byte(contextVersion)
	for _, part := range [...]string{c.Tenant, c.CredentialID, c.Provider, c.Host} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // names are short
		b = append(b, part...)
	}
	return b
}

// Sealed is a credential as it is stored.
type Sealed struct {
	Blob       string
	KeyVersion int
}

// Keyring is what seals credentials. Implementations are safe for concurrent
// use.
type Keyring interface {
	// Seal encrypts plaintext for a context. It neither keeps nor wipes it.
	Seal(ctx context.Context, c Context, plaintext []byte) (Sealed, error)
	// Unseal opens a blob: a handle, or ErrUnsealable or ErrUnavailable.
	Unseal(ctx context.Context, c Context, blob string) (*Credential, error)
	// Fingerprint names a secret without giving it away: 16 hexadecimal digits
	// of a keyed hash, equal for equal secrets of one tenant and provider. It
	// can not be tried out by anybody who lacks the key store.
	Fingerprint(c Context, plaintext []byte) string
	// Ready reports whether the key store answers.
	Ready(ctx context.Context) error
}
