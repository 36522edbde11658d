package vaultbridge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Authenticator proves that a text was written by somebody with this key store.
// Both keyrings are one.
type Authenticator interface {
	// MAC gives 32 bytes that belong to a purpose and a text: the same for the
	// same keyring, also after keys were rotated. Errors are ErrUnavailable.
	MAC(ctx context.Context, purpose string, text []byte) ([]byte, error)
}

// MAC implements Authenticator with a key that is derived from the master key.
func (l *Local) MAC(_ context.Context, purpose string, text []byte) ([]byte, error) {
	key := l.Derive("mac "+purpose, masterKeyBytes)
	defer clear(key)
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil), nil
}

// macInfo begins what is authenticated, so that it can never be mistaken for
// what a fingerprint is made of, which begins with contextVersion.
const macInfo = "ownkey-mac-v1\x00"

// MAC implements Authenticator with the key of fingerprints, which never leaves
// Vault and is not rotated. Vault sees the digest of the text.
func (t *Transit) MAC(ctx context.Context, purpose string, text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	input := append([]byte(macInfo+purpose+"\x00"), digest[:]...)
	var mac []byte
	err := t.ask(ctx, func(ctx context.Context, _ *api.Client) error {
		var a struct {
			Data struct {
				HMAC string `json:"hmac"`
			} `json:"data"`
		}
		if err := t.postFor(ctx, t.path("hmac", fingerprintKey), plaintextBody(`{"key_version":1,"input":"`, input), &a); err != nil {
			return err
		}
		var err error
		if mac, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(a.Data.HMAC, "vault:v1:")); err != nil || len(mac) != sha256.Size {
			return errBadAnswer
		}
		return nil
	})
	return mac, err
}

var _, _ Authenticator = (*Local)(nil), (*Transit)(nil)
