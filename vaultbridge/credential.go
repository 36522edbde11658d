package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/google/uuid"
)

// masked is how a credential looks to everything that prints.
const masked = "[credential]"

// Credential is a handle on a plaintext secret. It lends the bytes and never
// gives them away; with every verb of fmt it prints as [credential]. It is
// safe for concurrent use.
type Credential struct {
	secret   []byte
	version  int
	unsealID string
	// state counts the users; wiping is added once Wipe was called. The last
	// user to leave does the work.
	state atomic.Int64
}

const wiping = int64(1) << 32

// NewCredential makes a handle. It takes plaintext over and will wipe it.
func NewCredential(plaintext []byte, version int, unsealID string) *Credential {
	return &Credential{secret: plaintext, version: version, unsealID: unsealID}
}

// newUnsealID names one unseal: a UUIDv7 (RFC 9562).
func newUnsealID() string {
	id, err := uuid.NewV7()
	if err != nil {
		panic("BUG: no random numbers: " + err.Error()) // crypto/rand never fails (Go 1.24 release notes)
	}
	return id.String()
}

// Version is the version of the key that had sealed the secret.
func (c *Credential) Version() int { return c.version }

// UnsealID names the unseal that the secret came from.
func (c *Credential) UnsealID() string { return c.unsealID }

// Use lends the secret to f for the call. It reports false, without calling
// f, when the secret is wiped.
func (c *Credential) Use(f func(secret []byte)) bool {
	if !c.acquire() {
		return false
	}
	defer c.release()
	f(c.secret)
	return true
}

// Wipe zeroes the secret as soon as nobody uses it.
func (c *Credential) Wipe() {
	for {
		s := c.state.Load()
		if s >= wiping {
			return
		}
		if c.state.CompareAndSwap(s, s+wiping) {
			if s == 0 {
				clear(c.secret)
			}
			return
		}
	}
}

// acquire makes the caller a user, unless the secret is wiped or about to be.
func (c *Credential) acquire() bool {
	for {
		s := c.state.Load()
		if s >= wiping {
			return false
		}
		if c.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

func (c *Credential) release() {
	if c.state.Add(-1) == wiping {
		clear(c.secret)
	}
}

// Format prints [credential], whatever the verb.
func (c *Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// String gives [credential].
func (c *Credential) String() string { return masked }

// errMarshal refuses to write a credential anywhere.
var errMarshal = errors.New("a credential can not be marshaled")

// MarshalJSON always fails.
func (c *Credential) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalText always fails.
func (c *Credential) MarshalText() ([]byte, error) { return nil, errMarshal }

// Reseal decrypts a blob with one keyring and encrypts it with another, or the
// same, for a context of its own. The plaintext is wiped before it returns.
func Reseal(ctx context.Context, from, to Keyring, b Bound, at Context) (sealed Sealed, err error) {
	credential, err := from.Unseal(ctx, b)
	if err != nil {
		return Sealed{}, err
	}
	defer credential.Wipe()
	credential.Use(func(secret []byte) { sealed, err = to.Seal(ctx, at, secret) })
	return sealed, err
}
