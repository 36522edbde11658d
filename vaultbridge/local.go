package vaultbridge

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

const (
	masterKeyBytes = 32
	// blobPrefix begins every blob of the local keyring; the version follows.
	blobPrefix = "ownkey:v"
	// Contexts of derivation that are not a credential's; Context.Bytes can
	// not begin so.
	fingerprintInfo = "ownkey-fingerprint-v1"
	deriveInfo      = "ownkey-derive-v1:"
	digestInfo      = "ownkey-digest-v1"
	fingerprintLen  = 8 // bytes: collisions among one tenant's credentials are out of reach
)

// Local is a keyring over a master key file on this machine. Credentials are
// sealed with AES-256-GCM under a key that HKDF-SHA256 derives from the master
// key with the context as info: the construction of Vault transit's derived
// keys. It is immutable.
type Local struct {
	keys   map[int][]byte // master keys by version
	newest int
}

// LocalName is the name of every local keyring.
const LocalName = "local"

// Name is LocalName.
func (l *Local) Name() string { return LocalName }

// Seal encrypts with the newest master key.
func (l *Local) Seal(_ context.Context, c Context, plaintext []byte) (Sealed, error) {
	aead, err := newAEAD(l.keys[l.newest], c)
	if err != nil {
		return Sealed{}, err
	}
	raw := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	_, _ = rand.Read(raw) // never fails (crypto/rand, Go 1.24)
	raw = aead.Seal(raw, raw, plaintext, nil)
	blob := blobPrefix + strconv.Itoa(l.newest) + ":" + base64.StdEncoding.EncodeToString(raw)
	return Sealed{Keyring: LocalName, Blob: blob, KeyVersion: l.newest, Fingerprint: l.fingerprint(c, plaintext)}, nil
}

// Unseal decrypts a blob of any version that the file still has.
func (l *Local) Unseal(_ context.Context, b Bound) (*Credential, error) {
	version, encoded, ok := splitBlob(b.Blob)
	if !ok || l.keys[version] == nil {
		return nil, ErrUnsealable
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, ErrUnsealable
	}
	aead, err := newAEAD(l.keys[version], b.Context)
	if err != nil {
		return nil, err
	}
	if len(raw) < aead.NonceSize() {
		return nil, ErrUnsealable
	}
	nonce, sealed := raw[:aead.NonceSize()], raw[aead.NonceSize():]
	plaintext, err := aead.Open(sealed[:0], nonce, sealed, nil)
	if err != nil {
		return nil, ErrUnsealable
	}
	return NewCredential(plaintext, version, newUnsealID()), nil
}

func splitBlob(blob string) (version int, encoded string, ok bool) {
	rest, ok := strings.CutPrefix(blob, blobPrefix)
	if !ok {
		return 0, "", false
	}
	number, encoded, ok := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	return version, encoded, ok && err == nil
}

func newAEAD(master []byte, c Context) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, master, nil, string(c.Bytes()), masterKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("cannot derive data key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cannot use data key: %w", err)
	}
	return cipher.NewGCM(block)
}

// fingerprint is keyed by the first version of the master key, so that it
// stays the same when keys are rotated.
func (l *Local) fingerprint(c Context, plaintext []byte) string {
	key := l.expand(fingerprintInfo, masterKeyBytes)
	defer clear(key)
	mac := hmac.New(sha256.New, key)
	mac.Write(Context{Tenant: c.Tenant, Provider: c.Provider}.Bytes())
	mac.Write(plaintext)
	return hex.EncodeToString(mac.Sum(nil)[:fingerprintLen])
}

// Derive gives n pseudo-random bytes that belong to a purpose: the same for
// the same key file, unrelated for any other purpose.
func (l *Local) Derive(purpose string, n int) []byte {
	return l.expand(deriveInfo+purpose, n)
}

// Digests tell the versions of the master key from others, and give nothing of
// them away.
func (l *Local) Digests() map[int]string {
	digests := make(map[int]string, len(l.keys))
	for version, master := range l.keys {
		digests[version] = hex.EncodeToString(expand(master, digestInfo, fingerprintLen))
	}
	return digests
}

// oldest is the version that everything derived for good hangs on.
func (l *Local) oldest() int {
	oldest := l.newest
	for v := range l.keys {
		oldest = min(oldest, v)
	}
	return oldest
}

func (l *Local) expand(info string, n int) []byte {
	return expand(l.keys[l.oldest()], info, n)
}

func expand(master []byte, info string, n int) []byte {
	key, err := hkdf.Key(sha256.New, master, nil, info, n)
	if err != nil {
		panic("BUG: more derived bytes than HKDF gives: " + err.Error())
	}
	return key
}

// Key is empty: no tenant has a key of its own.
func (l *Local) Key(string) string { return "" }

// Newest is the highest version in the file.
func (l *Local) Newest(context.Context, string) (int, error) { return l.newest, nil }

// Rotate is ErrUnsupported: a version is a line that the operator adds to the
// file.
func (l *Local) Rotate(context.Context, string) (int, error) { return 0, ErrUnsupported }

// Rewrap opens each blob and seals it again.
func (l *Local) Rewrap(ctx context.Context, _ string, blobs []Bound) ([]Sealed, error) {
	all := make([]Sealed, 0, len(blobs))
	for _, b := range blobs {
		sealed, err := Reseal(ctx, l, l, b, b.Context)
		if err != nil {
			return nil, err
		}
		sealed.Fingerprint = ""
		all = append(all, sealed)
	}
	return all, nil
}

// Retire does nothing: a version ends when its line leaves the file.
func (l *Local) Retire(context.Context, string, int) error { return nil }

// Destroy is ErrUnsupported: there is one master key for all tenants.
func (l *Local) Destroy(context.Context, string, ...string) error { return ErrUnsupported }

// Ready is always true: the keys are in memory.
func (l *Local) Ready() error { return nil }

// Close has nothing to end.
func (l *Local) Close() {}
