package vaultbridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/vaultserver"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
)

// told lists the events so far, without what differs from run to run.
func (v *vault) told() (events []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.events {
		if e.Good {
			events = append(events, fmt.Sprintf("%s %s good", e.Identity, e.What))
		} else {
			events = append(events, fmt.Sprintf("%s %s %s", e.Identity, e.What, e.Reason))
		}
	}
	return events
}

// TestTokenIsRenewedAndReplacedBeforeItEnds: no unseal meets the end of a
// token, neither that of its time nor that of its longest time.
func TestTokenIsRenewedAndReplacedBeforeItEnds(t *testing.T) {
	v := startVault(t, false)
	v.Script("vault write auth/approle/role/ownkey-data token_policies=ownkey-data token_ttl=4s token_max_ttl=8s")
	k := v.keyring()
	b := roundTrip(t, k)
	tokens := map[string]bool{}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); <-tick.C {
		tokens[k.data.client.Token()] = true
		mustOpen(t, k, b.Context, b.Blob)
	}
	// A token that nothing renews ends three times in 12 s.
	if n := len(tokens); n < 2 || n > 3 {
		t.Errorf("%d tokens in 12 s", n)
	}
	if events := v.told(); len(events) > 0 {
		t.Errorf("told %q", events)
	}
}

func TestRevokedTokenIsReplaced(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	b := roundTrip(t, k)
	revoked := k.data.client.Token()
	v.Script("vault token revoke " + revoked)
	began := time.Now()
	_, err := k.Unseal(t.Context(), b)
	if !errors.Is(err, ErrUnavailable) || reasonIn(err) != ReasonDenied {
		t.Fatalf("with a revoked token: %v", err)
	}
	eventually(t, "unseals work again", func() bool {
		_, err := k.Unseal(t.Context(), b)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	if took := time.Since(began); took > 5*time.Second || k.data.client.Token() == revoked {
		t.Errorf("it took %v", took)
	}
	// The login itself never failed. Vault was away for requests, and came back.
	if events := v.told(); !slices.Equal(events, []string{"data vault denied", "data vault good"}) {
		t.Errorf("told %q", events)
	}
}

// TestRefusedDecryptLogsInAgain: Vault has refused the token, so another one is
// fetched at once.
func TestRefusedDecryptLogsInAgain(t *testing.T) {
	var logins atomic.Int64
	d := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/decrypt/"):
			http.Error(w, `{"errors":[]}`, http.StatusForbidden)
		case r.URL.Path == loginPath:
			logins.Add(1)
			fallthrough
		default:
			handOutToken(w, r)
		}
	})
	k := d.keyring(func(o *TransitOptions) { o.Admin = Login{} })
	if n := logins.Load(); n != 1 {
		t.Fatalf("%d logins before Vault has refused anything", n)
	}
	if _, err := k.Unseal(t.Context(), Bound{Context: testContext, Blob: someBlob}); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	eventually(t, "a second login", func() bool { return logins.Load() == 2 })
}

func TestKeyringStartsBeforeVault(t *testing.T) {
	v := startVault(t, false)
	b := roundTrip(t, v.keyring())
	if err := v.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	k := v.keyring()
	if took := time.Since(began); took > loginTimeout {
		t.Errorf("it waited for Vault for %v", took)
	}
	if _, err := k.Unseal(t.Context(), b); !errors.Is(err, ErrUnavailable) || reasonIn(err) != ReasonLogin {
		t.Errorf("without Vault: %v", err)
	}
	if err := k.Ready(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready without Vault: %v", err)
	}
	if _, err := k.Seal(t.Context(), testContext, []byte("sk-test")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("sealed without Vault: %v", err)
	}
	if err := v.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both identities are logged in", func() bool { return k.data.ready.Load() && k.admin.ready.Load() })
	eventually(t, "unseals work", func() bool {
		_, err := k.Unseal(t.Context(), b)
		return err == nil
	})
	roundTrip(t, k)
	events := v.told()
	slices.Sort(events) // of two identities at the same time
	if !slices.Equal(events, []string{"admin login good", "admin login unreachable", "data login good", "data login unreachable"}) {
		t.Errorf("told %q", events)
	}
}

func reasonIn(err error) Reason {
	var u *unavailable
	errors.As(err, &u)
	if u == nil {
		return ""
	}
	return u.reason
}

// double stands where Vault is, to see what is sent. It hands out a token that
// needs no renewal and, without an answer of the test's own, is of no other use.
type double struct {
	*vault
	mu   sync.Mutex
	seen map[string]http.Header // by path
}

func newDouble(t *testing.T, answer http.HandlerFunc) *double {
	d := &double{seen: map[string]http.Header{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.seen[r.URL.Path] = r.Header.Clone()
		d.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	d.vault = &vault{Vault: &vaulttest.Vault{Server: &vaultserver.Server{URL: server.URL}, Dir: t.TempDir()}, t: t}
	for _, identity := range []string{"data", "admin"} {
		d.write("ownkey-"+identity+".role-id", "role")
		d.write("ownkey-"+identity+".secret-id", "secret")
	}
	return d
}

func (d *double) header(path string) http.Header {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[path]
}

func handOutToken(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == loginPath {
		_, _ = w.Write([]byte(`{"auth":{"client_token":"hvs.handed-out"}}`))
		return
	}
	http.Error(w, `{"errors":[]}`, http.StatusInternalServerError)
}

// strangers counts the requests to a server that nobody should call.
func strangers(t *testing.T) (url string, calls *atomic.Int64) {
	calls = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(s.Close)
	return s.URL, calls
}

const (
	loginPath   = "/v1/auth/approle/login"
	decryptPath = "/v1/transit/decrypt/ownkey-acme"
)

// validBlob looks like one of Vault's.
var validBlob = Bound{Context: testContext, Blob: "vault:v1:AAAA"}

// TestNamespaceComesFromTheOptionsOnly: so do the address and the token. The
// environment is an operator's shell, or a pod's, and may speak of another Vault.
func TestNamespaceComesFromTheOptionsOnly(t *testing.T) {
	elsewhere, calls := strangers(t)
	for name, value := range map[string]string{
		"VAULT_ADDR": elsewhere, "VAULT_AGENT_ADDR": elsewhere, "VAULT_PROXY_ADDR": elsewhere,
		"VAULT_TOKEN": "hvs.environment", "VAULT_NAMESPACE": "environment",
	} {
		t.Setenv(name, value)
	}
	for _, namespace := range []string{"team/a", ""} {
		d := newDouble(t, handOutToken)
		k := d.keyring(func(o *TransitOptions) { o.Namespace = namespace })
		_, _ = k.Unseal(t.Context(), validBlob)
		for path, token := range map[string]string{loginPath: "", decryptPath: "hvs.handed-out"} {
			h := d.header(path)
			if h == nil || h.Get("X-Vault-Namespace") != namespace || h.Get("X-Vault-Token") != token {
				t.Errorf("%s got %v, want namespace %q and token %q", path, h, namespace, token)
			}
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("%d requests to the environment's address", n)
	}
}

// TestEnvironmentOfVaultsToolsChangesNothing: what vault/api reads besides
// where it is and who we are. It must neither stop the gateway nor reach Vault.
func TestEnvironmentOfVaultsToolsChangesNothing(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_WRAP_TTL": "60s", // wrapped answers hold no token and no plaintext
		"VAULT_HEADERS":  `{"X-Environment":"1"}`,
		"VAULT_CACERT":   "/nowhere/ca.crt", "VAULT_CLIENT_CERT": "/nowhere/client.crt",
		"VAULT_SKIP_VERIFY": "perhaps", "VAULT_MAX_RETRIES": "many", "VAULT_RATE_LIMIT": "much", "VAULT_CLIENT_TIMEOUT": "long",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			d := newDouble(t, handOutToken)
			_, _ = d.keyring().Unseal(t.Context(), validBlob)
			for _, path := range []string{loginPath, decryptPath} {
				h := d.header(path)
				if h == nil || h.Get("X-Vault-Wrap-TTL") != "" || h.Get("X-Environment") != "" {
					t.Errorf("%s got %v", path, h)
				}
			}
		})
	}
}

// TestRedirectsAreNotFollowed: a standby that redirects, or who pretends to be
// one, must not move a token or a secret to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere, calls := strangers(t)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		redirect := func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+r.URL.Path, status)
		}
		for what, answer := range map[string]http.HandlerFunc{
			"login": redirect,
			"calls": func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == loginPath {
					handOutToken(w, r)
					return
				}
				redirect(w, r)
			},
		} {
			k := newDouble(t, answer).keyring()
			if _, err := k.Unseal(t.Context(), validBlob); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%d, %s: unseal: %v", status, what, err)
			}
			if _, err := k.Seal(t.Context(), testContext, []byte("sk-test")); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%d, %s: seal: %v", status, what, err)
			}
			_ = k.Ready()
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("%d requests to where an answer pointed", n)
	}
}
