package vaultbridge

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/memsearch"
)

// TestPlaintextIsGoneFromMemory unseals a secret that this process has never
// seen, lets its time pass, and searches the whole writable memory of the
// process for it, in plain and in base64.
func TestPlaintextIsGoneFromMemory(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	if err := k.ensureKey(context.Background(), "acme"); err != nil {
		t.Fatal(err)
	}
	secret := memsearch.Unseen(t, v.File("secret"))
	at := base64.StdEncoding.EncodeToString(testContext.Bytes())
	blob := strings.TrimSpace(v.Script("vault write -field=ciphertext transit/encrypt/ownkey-acme context=" + at + " plaintext=$(base64 -w0 secret)"))
	ring, err := NewRing(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCache(ring, CacheOptions{TTL: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ref := &Ref{Bound: Bound{Context: testContext, Blob: blob}, Keyring: "vault", Generation: 1}
	for range 50 {
		l, err := c.Credential(context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		l.Use(func(b []byte) {
			if len(b) != secret.Len() {
				t.Errorf("%d bytes", len(b))
			}
		})
		l.Release()
		time.Sleep(10 * time.Millisecond)
	}
	l, err := c.Credential(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if n := secret.Copies(t); n == 0 {
		t.Error("the search does not find a secret that is leased")
	}
	l.Release()
	time.Sleep(500 * time.Millisecond)
	if n := secret.Copies(t); n != 0 {
		t.Errorf("%d copies in plain", n)
	}
	if n := secret.Base64().Copies(t); n != 0 {
		t.Errorf("%d copies in base64", n)
	}
}
