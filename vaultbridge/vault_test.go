package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/prometheus/client_golang/prometheus"
)

// vault is a real server, set up by the script that `ownkey vault policy`
// prints, and the journal and events of the keyrings that tests make on it.
type vault struct {
	*vaulttest.Vault
	t *testing.T

	mu      sync.Mutex
	journal []Unsealing
	events  []Event
}

func startVault(t *testing.T, tls bool) *vault {
	t.Helper()
	return &vault{Vault: vaulttest.Start(t, SetupScript("transit", "unused"), tls), t: t}
}

func (v *vault) appRole(identity string) Login {
	return Login{
		Method: MethodAppRole, RoleIDFile: v.File("ownkey-" + identity + ".role-id"),
		SecretIDFile: v.File("ownkey-" + identity + ".secret-id"),
	}
}

func (v *vault) options() TransitOptions {
	return TransitOptions{
		Name: "vault", Address: v.URL, Mount: "transit", CAFile: v.CAFile, Timeout: time.Second,
		Data: v.appRole("data"), Admin: v.appRole("admin"), Metrics: prometheus.NewRegistry(),
		Journal: func(u Unsealing) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.journal = append(v.journal, u)
		},
		Notify: func(e Event) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		},
	}
}

func (v *vault) keyring(change ...func(*TransitOptions)) *Transit {
	v.t.Helper()
	o := v.options()
	for _, c := range change {
		c(&o)
	}
	k, err := NewTransit(context.Background(), o)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(k.Close)
	return k
}

func mustSeal(t *testing.T, k Keyring, c Context, secret string) Sealed {
	t.Helper()
	s, err := k.Seal(context.Background(), c, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustOpen(t *testing.T, k Keyring, c Context, blob string) (secret string, credential *Credential) {
	t.Helper()
	credential, err := k.Unseal(context.Background(), Bound{Context: c, Blob: blob})
	if err != nil {
		t.Fatal(err)
	}
	credential.Use(func(b []byte) { secret = string(b) })
	return secret, credential
}

func TestTransitSealsForOneContextOnly(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	s := mustSeal(t, k, testContext, "sk-test")
	if s.Keyring != "vault" || s.KeyVersion != 1 || !strings.HasPrefix(s.Blob, "vault:v1:") || len(s.Fingerprint) != 16 {
		t.Errorf("sealed as %+v", s)
	}
	if got, c := mustOpen(t, k, testContext, s.Blob); got != "sk-test" || c.Version() != 1 || c.UnsealID() != v.journal[0].ID {
		t.Errorf("opened as %q", got)
	}
	for what, c := range map[string]Context{
		"tenant": {"other", "cred_1", "openai", "api.openai.com:443"}, "credential": {"acme", "cred_2", "openai", "api.openai.com:443"},
		"provider": {"acme", "cred_1", "groq", "api.openai.com:443"}, "host": {"acme", "cred_1", "openai", "evil.example:443"},
		"shift": {"acme", "cred_1", "opena", "iapi.openai.com:443"},
	} {
		mustSeal(t, k, c, "sk-elsewhere") // the other place is a real one
		if _, err := k.Unseal(context.Background(), Bound{Context: c, Blob: s.Blob}); !errors.Is(err, ErrUnsealable) {
			t.Errorf("moved to another %s: %v", what, err)
		}
	}
	for _, blob := range []string{"", "vault:v1:", "vault:v9:" + s.Blob[9:], s.Blob[:len(s.Blob)-8], "ownkey:v1:AAAA", `vault:v1:"},{"ciphertext":"`} {
		if _, err := k.Unseal(context.Background(), Bound{Context: testContext, Blob: blob}); !errors.Is(err, ErrUnsealable) {
			t.Errorf("blob %.20q: %v", blob, err)
		}
	}
	same, other := mustSeal(t, k, testContext, "sk-test"), mustSeal(t, k, testContext, "sk-test2")
	if same.Fingerprint != s.Fingerprint || other.Fingerprint == s.Fingerprint || same.Blob == s.Blob {
		t.Error("fingerprints do not tell secrets apart, or blobs repeat")
	}
}

func TestTransitRotatesRewrapsAndRetires(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	ctx := context.Background()
	var blobs []Bound
	for i := range 3 * maxBatch / 2 {
		c := testContext
		c.CredentialID = fmt.Sprint("cred_", i)
		blobs = append(blobs, Bound{Context: c, Blob: mustSeal(t, k, c, fmt.Sprint("sk-", i)).Blob})
	}
	if version, err := k.Rotate(ctx, "acme"); version != 2 || err != nil {
		t.Fatal(version, err)
	}
	all, err := k.Rewrap(ctx, "acme", blobs)
	if err != nil || len(all) != len(blobs) {
		t.Fatal(len(all), err)
	}
	if err := k.Retire(ctx, "acme", 2); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if got, c := mustOpen(t, k, blobs[i].Context, s.Blob); got != fmt.Sprint("sk-", i) || c.Version() != 2 || s.KeyVersion != 2 {
			t.Fatalf("%d opens as %q, version %d", i, got, c.Version())
		}
	}
	if _, err := k.Unseal(ctx, blobs[0]); !errors.Is(err, ErrUnsealable) {
		t.Errorf("a retired version: %v", err)
	}
	// As docs/security-audit.md says for a backup from before.
	v.Script("vault write transit/keys/ownkey-acme/config min_decryption_version=1")
	if got, _ := mustOpen(t, k, blobs[0].Context, blobs[0].Blob); got != "sk-0" {
		t.Errorf("a version that is open again: %q", got)
	}
	if after := mustSeal(t, k, testContext, "sk-test"); after.KeyVersion != 2 {
		t.Errorf("sealed with version %d", after.KeyVersion)
	}
	if err := k.Destroy(ctx, "acme", k.Key("acme")); err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy(ctx, "acme", k.Key("acme")); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := k.Unseal(ctx, Bound{Context: blobs[0].Context, Blob: all[0].Blob}); !errors.Is(err, ErrUnsealable) {
		t.Errorf("after its key was destroyed: %v", err)
	}
	if version, err := k.Newest(ctx, "acme"); version != 0 || err != nil {
		t.Error(version, err)
	}
}

// TestTransitRefusesAnExportableKey: somebody made the key by hand.
func TestTransitRefusesAnExportableKey(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	for key, settings := range map[string]string{
		"exportable": "derived=true exportable=true", "plain": "derived=false", "backup": "derived=true allow_plaintext_backup=true", "short": "derived=true type=aes128-gcm96",
	} {
		v.Script("vault write transit/keys/ownkey-" + key + " " + settings)
		c := testContext
		c.Tenant = key
		if _, err := k.Seal(context.Background(), c, []byte("sk-test")); !errors.Is(err, ErrKeySettings) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestMissesOfOneTenantGoTogether: a hundred credentials of one tenant, missed
// at once, take a few calls of Vault and have an id each.
func TestMissesOfOneTenantGoTogether(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	const n = 100
	blobs := make([]Bound, n)
	for i := range blobs {
		c := testContext
		c.CredentialID = fmt.Sprint("cred_", i)
		blobs[i] = Bound{Context: c, Blob: mustSeal(t, k, c, fmt.Sprint("sk-", i)).Blob}
	}
	before := v.Decrypts()
	var all sync.WaitGroup
	for i, b := range blobs {
		all.Go(func() {
			if got, _ := mustOpen(t, k, b.Context, b.Blob); got != fmt.Sprint("sk-", i) {
				t.Errorf("%d opened as %q", i, got)
			}
		})
	}
	all.Wait()
	if calls := v.Decrypts() - before; calls > n/5 || calls == 0 {
		t.Errorf("%d calls for %d unseals", calls, n)
	}
	ids := map[string]bool{}
	for _, u := range v.journal {
		ids[u.ID] = true
	}
	if len(ids) != n {
		t.Errorf("%d ids for %d unseals", len(ids), n)
	}
	// One bad blob spoils nobody else's.
	var good, bad sync.WaitGroup
	for i, b := range blobs[:10] {
		good.Go(func() { mustOpen(t, k, b.Context, b.Blob) })
		bad.Go(func() {
			if _, err := k.Unseal(context.Background(), Bound{Context: blobs[i+1].Context, Blob: b.Blob}); !errors.Is(err, ErrUnsealable) {
				t.Error(err)
			}
		})
	}
	good.Wait()
	bad.Wait()
}

func TestDoctorProvesBothIdentities(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	mustSeal(t, k, testContext, "sk-test")
	ctx := context.Background()
	findings := k.Examine(ctx, []string{"ownkey-acme"})
	for _, f := range findings {
		t.Log(f)
		if !f.OK {
			t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	// A new login each time: a token keeps the policies of its login.
	failing := func() (names []string) {
		for _, f := range v.keyring().Examine(ctx, []string{"ownkey-acme"}) {
			if !f.OK {
				names = append(names, f.Check+": "+f.Detail)
			}
		}
		return names
	}
	for what, broken := range map[string]struct{ breakIt, mend, names string }{
		"data may encrypt": {
			"vault policy write more - <<'E'\npath \"transit/encrypt/*\" { capabilities = [\"update\"] }\nE\nvault write auth/approle/role/ownkey-data token_policies=ownkey-data,more",
			"vault write auth/approle/role/ownkey-data token_policies=ownkey-data", "data identity",
		},
		"admin may decrypt": {
			"vault policy write ownkey-admin - <<'E'\n" + AdminPolicy("transit") + "path \"transit/decrypt/ownkey-*\" { capabilities = [\"update\"] }\nE",
			"vault policy write ownkey-admin - <<'E'\n" + AdminPolicy("transit") + "E", "admin identity",
		},
		"header hashed":   {"vault write sys/config/auditing/request-headers/ownkey-unseal-id hmac=true", "vault write sys/config/auditing/request-headers/ownkey-unseal-id hmac=false", "audit device"},
		"header unknown":  {"vault delete sys/config/auditing/request-headers/ownkey-unseal-id", "vault write sys/config/auditing/request-headers/ownkey-unseal-id hmac=false", "audit device"},
		"no audit device": {"vault audit disable file", "vault audit enable file file_path=" + v.AuditFile, "audit device"},
		"deletable key":   {"vault write transit/keys/ownkey-acme/config deletion_allowed=true", "vault write transit/keys/ownkey-acme/config deletion_allowed=false", "keys of tenants"},
	} {
		v.Script(broken.breakIt)
		if names := failing(); len(names) != 1 || !strings.HasPrefix(names[0], broken.names) {
			t.Errorf("%s: %q", what, names)
		}
		v.Script(broken.mend)
		if names := failing(); len(names) > 0 {
			t.Errorf("%s, mended: %q", what, names)
		}
	}
}
