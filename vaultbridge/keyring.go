package vaultbridge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// What can go wrong with a keyring. Test with errors.Is.
var (
	// ErrUnsealable: the blob does not open here: it was made for another
	// context, changed, or sealed by a key or key version that is gone.
	ErrUnsealable = errors.New("cannot unseal credential")
	// ErrUnavailable: the key store does not answer, or not us.
	ErrUnavailable = errors.New("cannot reach key store")
	// ErrUnsupported: this kind of keyring has no such thing.
	ErrUnsupported = errors.New("keyring cannot do that")
	// ErrKeyFile: the master key file can not be used; the text says why.
	ErrKeyFile = errors.New("cannot use master key file")
	// ErrKeySettings: a tenant's key exists in Vault with settings that make
	// it unfit; the text says which.
	ErrKeySettings = errors.New("cannot use transit key")
)

// Context says where a sealed credential may be used. All four must be the
// same when it is decrypted: a row that is moved to another tenant, credential,
// provider or address does not open.
type Context struct {
	Tenant       string
	CredentialID string
	Provider     string
	// Address is scheme://host:port/base-path in the one spelling that
	// upstream.Address gives. Credentials that were stored before schemes and
	// paths were bound have host:port alone, until a rewrap.
	Address string
}

// Versions begin the encoding, so that one can never be mistaken for another.
const (
	contextOfHost    = "ownkey-context-v1" // the address is host:port
	contextOfAddress = "ownkey-context-v2"
)

// Bytes encodes the context unambiguously: a version, then each part with its
// length as four bytes, big-endian, before it.
func (c Context) Bytes() []byte {
	b := []byte(contextOfHost)
	if strings.Contains(c.Address, "://") {
		b = []byte(contextOfAddress)
	}
	for _, part := range [...]string{c.Tenant, c.CredentialID, c.Provider, c.Address} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // names are short
		b = append(b, part...)
	}
	return b
}

// Sealed is a credential as it is stored.
type Sealed struct {
	Keyring    string // name of the keyring that sealed it
	Key        string // name of the key, where tenants have their own; see KeyName
	Blob       string
	KeyVersion int
	// Fingerprint names the secret without giving it away: 16 hexadecimal
	// digits of a keyed hash, equal for equal secrets of one tenant, provider
	// and keyring. It can not be tried out by anybody who lacks the key store.
	Fingerprint string
}

// Bound is a blob with the context that it was sealed for.
type Bound struct {
	Context Context
	Blob    string
	// Key is the key that sealed it, as Sealed had it.
	Key string
}

// Keyring is what seals credentials. Implementations are safe for concurrent
// use. Errors are ErrUnavailable, ErrUnsealable, ErrUnsupported or
// ErrKeySettings.
type Keyring interface {
	// Name is stored with each row that the keyring seals.
	Name() string
	// Seal encrypts plaintext for a context. It neither keeps nor wipes it.
	Seal(ctx context.Context, c Context, plaintext []byte) (Sealed, error)
	// Unseal opens a blob.
	Unseal(ctx context.Context, b Bound) (*Credential, error)
	// Key is the name of the key that seals for a tenant, as Sealed has it.
	Key(tenant string) string
	// Newest is the key version that seals for a tenant; 0 when the tenant has
	// no key yet.
	Newest(ctx context.Context, tenant string) (int, error)
	// Rotate adds a key version for a tenant and gives it.
	Rotate(ctx context.Context, tenant string) (int, error)
	// Rewrap seals blobs of one tenant anew with the newest key version, in
	// order. Fingerprints are left out: the secrets stay the same.
	Rewrap(ctx context.Context, tenant string, blobs []Bound) ([]Sealed, error)
	// Retire makes blobs of versions below oldest useless.
	Retire(ctx context.Context, tenant string, oldest int) error
	// Destroy ends keys of a tenant for good: those of these names, as Sealed
	// had them. To destroy one again is no error.
	Destroy(ctx context.Context, tenant string, keys ...string) error
	// Ready reports whether the key store is usable, as far as it is known
	// without asking it.
	Ready() error
	// Close ends what the keyring runs in the background.
	Close()
}

// Ring is the keyring that seals, together with the one before it, whose rows
// still open: what lets credentials move between keyrings without downtime.
type Ring struct {
	current  Keyring
	previous Keyring // nil for none
}

// NewRing makes a ring. previous may be nil.
func NewRing(current, previous Keyring) (*Ring, error) {
	if previous != nil && previous.Name() == current.Name() {
		return nil, fmt.Errorf("cannot use two keyrings of the same name %s", current.Name())
	}
	return &Ring{current, previous}, nil
}

// Current is the keyring that seals.
func (r *Ring) Current() Keyring { return r.current }

// All lists the keyrings, the one that seals first.
func (r *Ring) All() []Keyring {
	if r.previous == nil {
		return []Keyring{r.current}
	}
	return []Keyring{r.current, r.previous}
}

// Of gives the keyring that sealed a row; ErrUnsealable when it is not here.
func (r *Ring) Of(name string) (Keyring, error) {
	for _, k := range r.All() {
		if k.Name() == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: it was sealed by keyring %s, which is not configured", ErrUnsealable, name)
}

// Close closes the keyrings.
func (r *Ring) Close() {
	for _, k := range r.All() {
		k.Close()
	}
}
