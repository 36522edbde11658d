package vaultbridge

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// keyType is the type of a tenant's key.
const keyType = "aes256-gcm96"

// Seal encrypts with the tenant's key, which is made if it is not there yet.
func (t *Transit) Seal(ctx context.Context, c Context, secret []byte) (Sealed, error) {
	if err := t.ensureKey(ctx, c.Tenant); err != nil {
		return Sealed{}, err
	}
	s := Sealed{Keyring: t.o.Name, Key: t.Key(c.Tenant)}
	err := t.ask(ctx, func(ctx context.Context, _ *api.Client) error {
		body := plaintextBody(`{"context":"`+base64.StdEncoding.EncodeToString(c.Bytes())+`","plaintext":"`, secret)
		defer clear(body)
		var a struct {
			Data struct {
				Ciphertext string `json:"ciphertext"`
				KeyVersion int    `json:"key_version"`
			} `json:"data"`
		}
		if err := t.postFor(ctx, t.path("encrypt", t.own(c.Tenant)), body, &a); err != nil {
			return err
		}
		s.Blob, s.KeyVersion = a.Data.Ciphertext, a.Data.KeyVersion
		if _, ok := transitVersion(s.Blob); !ok {
			return errBadAnswer
		}
		return nil
	})
	if err != nil {
		return Sealed{}, err
	}
	s.Fingerprint, err = t.fingerprint(ctx, c, secret)
	return s, err
}

// plaintextBody writes a call: what is before, the secret in base64, and the
// end of both the string and the object. It is one allocation, to be wiped.
func plaintextBody(before string, secret []byte) []byte {
	const after = `"}`
	body := make([]byte, 0, len(before)+base64.StdEncoding.EncodedLen(len(secret))+len(after))
	body = append(body, before...)
	body = base64.StdEncoding.AppendEncode(body, secret)
	return append(body, after...)
}

// fingerprintBytes of the MAC are kept: collisions among one tenant's
// credentials are out of reach.
const fingerprintBytes = 8

// fingerprint is a MAC under a key that never leaves Vault and is not rotated,
// so that equal secrets stay equal.
func (t *Transit) fingerprint(ctx context.Context, c Context, secret []byte) (string, error) {
	var print string
	err := t.ask(ctx, func(ctx context.Context, _ *api.Client) error {
		scope := Context{Tenant: c.Tenant, Provider: c.Provider}.Bytes()
		input := append(append(make([]byte, 0, len(scope)+len(secret)), scope...), secret...)
		defer clear(input)
		body := plaintextBody(`{"key_version":1,"input":"`, input)
		defer clear(body)
		var a struct {
			Data struct {
				HMAC string `json:"hmac"`
			} `json:"data"`
		}
		if err := t.postFor(ctx, t.path("hmac", fingerprintKey), body, &a); err != nil {
			return err
		}
		mac, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(a.Data.HMAC, "vault:v1:"))
		if err != nil || len(mac) < fingerprintBytes {
			return errBadAnswer
		}
		print = hex.EncodeToString(mac[:fingerprintBytes])
		return nil
	})
	return print, err
}

// postFor makes a call whose body holds a plaintext and decodes the answer,
// which holds none.
func (t *Transit) postFor(ctx context.Context, path string, body []byte, into any) error {
	raw, err := t.admin.post(ctx, path, body, "", "", maxAnswerBytes)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errBadAnswer
	}
	return nil
}

// transitKey is what Vault tells about a key.
type transitKey struct {
	Type                 string `json:"type"`
	Derived              bool   `json:"derived"`
	Exportable           bool   `json:"exportable"`
	AllowPlaintextBackup bool   `json:"allow_plaintext_backup"`
	DeletionAllowed      bool   `json:"deletion_allowed"`
	LatestVersion        int    `json:"latest_version"`
	MinDecryptionVersion int    `json:"min_decryption_version"`
}

// unfit says what makes a key unfit to seal with; empty for nothing.
func (k *transitKey) unfit() string {
	switch {
	case k.Type != keyType:
		return "its type is " + k.Type + ", not " + keyType
	case !k.Derived:
		return "derived is false"
	case k.Exportable:
		return "it is exportable"
	case k.AllowPlaintextBackup:
		return "allow_plaintext_backup is true"
	}
	return ""
}

// errNoKey: the tenant has no key in Vault.
var errNoKey = fmt.Errorf("%w: there is no such key in Vault", ErrUnsealable)

// readKey asks for a key's settings; errNoKey when there is none.
func (t *Transit) readKey(ctx context.Context, name string) (k transitKey, err error) {
	err = t.ask(ctx, func(ctx context.Context, c *api.Client) error {
		response, err := c.Logical().ReadRawWithContext(ctx, t.path("keys", name))
		if response != nil {
			defer response.Body.Close() //nolint:errcheck // it was read
		}
		if statusOf(err) == http.StatusNotFound || response != nil && response.StatusCode == http.StatusNotFound {
			return errNoKey
		}
		if err != nil {
			return err
		}
		var a struct {
			Data transitKey `json:"data"`
		}
		if err := json.NewDecoder(response.Body).Decode(&a); err != nil || a.Data.Type == "" {
			return errBadAnswer
		}
		k = a.Data
		return nil
	})
	return k, err
}

// ensureKey makes a tenant's key, or checks the one that is there: a key that
// somebody could export is not sealed with.
func (t *Transit) ensureKey(ctx context.Context, tenant string) error {
	if _, ok := t.checked.Load(tenant); ok {
		return nil
	}
	k, err := t.readKey(ctx, t.own(tenant))
	if errors.Is(err, errNoKey) {
		err = t.ask(ctx, func(ctx context.Context, c *api.Client) error {
			_, err := c.Logical().WriteWithContext(ctx, t.path("keys", t.own(tenant)), map[string]any{"type": keyType, "derived": true})
			return err
		})
		if err == nil {
			k, err = t.readKey(ctx, t.own(tenant))
		}
	}
	if err != nil {
		return err
	}
	if why := k.unfit(); why != "" {
		return fmt.Errorf("%w %s: %s", ErrKeySettings, t.own(tenant), why)
	}
	t.checked.Store(tenant, true)
	return nil
}

// Newest is the latest version of the tenant's key.
func (t *Transit) Newest(ctx context.Context, tenant string) (int, error) {
	k, err := t.readKey(ctx, t.own(tenant))
	if errors.Is(err, errNoKey) {
		return 0, nil
	}
	return k.LatestVersion, err
}

// Rotate adds a version to the tenant's key.
func (t *Transit) Rotate(ctx context.Context, tenant string) (int, error) {
	if err := t.ensureKey(ctx, tenant); err != nil {
		return 0, err
	}
	err := t.ask(ctx, func(ctx context.Context, c *api.Client) error {
		_, err := c.Logical().WriteWithContext(ctx, t.path("keys", t.own(tenant))+"/rotate", nil)
		return err
	})
	if err != nil {
		return 0, err
	}
	return t.Newest(ctx, tenant)
}

// Rewrap has Vault re-encrypt blobs: no plaintext leaves it. It can do so under
// the same key only: a blob of another one is ErrUnsealable.
func (t *Transit) Rewrap(ctx context.Context, tenant string, blobs []Bound) ([]Sealed, error) {
	all := make([]Sealed, 0, len(blobs))
	for len(blobs) > 0 {
		n := min(len(blobs), maxBatch)
		some, err := t.rewrapBatch(ctx, tenant, blobs[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		blobs = blobs[n:]
	}
	return all, nil
}

func (t *Transit) rewrapBatch(ctx context.Context, tenant string, blobs []Bound) (all []Sealed, err error) {
	type item struct {
		Ciphertext string `json:"ciphertext"`
		Context    []byte `json:"context"` // base64 in JSON
	}
	items := make([]item, 0, len(blobs))
	for _, b := range blobs {
		if b.Key != t.Key(tenant) {
			return nil, ErrUnsealable
		}
		items = append(items, item{b.Blob, b.Context.Bytes()})
	}
	body, err := json.Marshal(map[string]any{"batch_input": items})
	if err != nil {
		return nil, fmt.Errorf("cannot encode call: %w", err)
	}
	err = t.ask(ctx, func(ctx context.Context, _ *api.Client) error {
		var a struct {
			Data struct {
				Results []struct {
					Ciphertext string `json:"ciphertext"`
					Error      string `json:"error"`
				} `json:"batch_results"`
			} `json:"data"`
		}
		err := t.postFor(ctx, t.path("rewrap", t.own(tenant)), body, &a)
		if statusOf(err) == http.StatusBadRequest {
			return ErrUnsealable
		}
		if err != nil {
			return err
		}
		if len(a.Data.Results) != len(blobs) {
			return errBadAnswer
		}
		for _, r := range a.Data.Results {
			version, ok := transitVersion(r.Ciphertext)
			if !ok || r.Error != "" {
				return ErrUnsealable
			}
			all = append(all, Sealed{Keyring: t.o.Name, Key: t.Key(tenant), Blob: r.Ciphertext, KeyVersion: version})
		}
		return nil
	})
	return all, err
}

// Retire raises the key's min_decryption_version; it never lowers it.
func (t *Transit) Retire(ctx context.Context, tenant string, oldest int) error {
	k, err := t.readKey(ctx, t.own(tenant))
	if err != nil || k.MinDecryptionVersion >= oldest {
		return err
	}
	return t.configure(ctx, t.own(tenant), map[string]any{"min_decryption_version": oldest})
}

// Destroy deletes keys of a tenant with all their versions: nothing that they
// have sealed opens again, wherever a copy lies.
func (t *Transit) Destroy(ctx context.Context, tenant string, keys ...string) error {
	t.checked.Delete(tenant)
	for _, key := range keys {
		name, err := KeyName(tenant, key)
		if err == nil {
			err = t.destroy(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Transit) destroy(ctx context.Context, key string) error {
	_, err := t.readKey(ctx, key)
	if errors.Is(err, errNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.configure(ctx, key, map[string]any{"deletion_allowed": true}); err != nil {
		return err
	}
	return t.ask(ctx, func(ctx context.Context, c *api.Client) error {
		_, err := c.Logical().DeleteWithContext(ctx, t.path("keys", key))
		return err
	})
}

func (t *Transit) configure(ctx context.Context, key string, settings map[string]any) error {
	return t.ask(ctx, func(ctx context.Context, c *api.Client) error {
		_, err := c.Logical().WriteWithContext(ctx, t.path("keys", key)+"/config", settings)
		return err
	})
}
