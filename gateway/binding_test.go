package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
)

// Whoever writes the database and changes where a credential leads, in whatever
// columns, makes it useless: nothing reaches the provider.
func TestChangedAddressesDoNotOpen(t *testing.T) {
	houses := map[string]func(t *testing.T) *house{
		"local": func(t *testing.T) *house { return newHouse(t, cacheFor(0, 0)) },
		"vault": func(t *testing.T) *house { h, _ := newVaultHouse(t, cacheFor(0, 0)); return h },
	}
	for name, house := range houses {
		t.Run(name, func(t *testing.T) {
			h := house(t)
			if a := h.chat("gpt-4o"); a.status != 200 {
				t.Fatalf("before: %d %s", a.status, a.body)
			}
			base := upstream.Origin(h.bases["main"])
			host := upstream.HostPort(h.bases["main"])
			for what, change := range map[string]string{
				"scheme":                 "base_url = 'https://" + host + "/v1'",
				"scheme, said":           "base_url = 'https://" + host + "/v1', address = 'https://" + host + "/v1'",
				"path":                   "base_url = '" + base + "/v1/other'",
				"path, said":             "base_url = '" + base + "/v1/other', address = '" + base + "/v1/other'",
				"path, of the old kind":  "base_url = '" + base + "/v1/other', address = ''",
				"the old kind":           "address = ''",
				"port, of the old kind":  "base_url = 'http://127.0.0.1:1/v1', host = '127.0.0.1:1', address = ''",
				"key of another tenant":  "key_name = 'ownkey-0.other'",
				"key with a path of its": "key_name = 'ownkey-/../../sys.acme'",
			} {
				if name == "local" && what[:3] == "key" {
					continue // it has one key for all
				}
				before := h.row("main")
				h.exec("UPDATE credentials SET "+change, "tenant_id = 'acme' AND provider = 'main' AND label = 'default'")
				h.provider.Forget()
				if a := h.chat("gpt-4o"); a.status != 412 || a.code() != "credential_unusable" {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
				if n := len(h.provider.Requests()); n != 0 {
					t.Errorf("%s: %d requests were sent", what, n)
				}
				h.exec("UPDATE credentials SET base_url = '', host = ?, address = ?, key_name = ?",
					"tenant_id = 'acme' AND provider = 'main' AND label = 'default'", before.Host, before.Address, before.Key)
			}
			if a := h.chat("gpt-4o"); a.status != 200 {
				t.Errorf("put back: %d %s", a.status, a.body)
			}
		})
	}
}

// TestRowsMovedInPlaceDoNotOpen: a row whose tenant, id or provider is written
// over, and nothing else of it, so that each is bound by itself.
func TestRowsMovedInPlaceDoNotOpen(t *testing.T) {
	houses := map[string]func(t *testing.T) *house{
		"local": func(t *testing.T) *house { return newHouse(t, cacheFor(0, 0)) },
		"vault": func(t *testing.T) *house { h, _ := newVaultHouse(t, cacheFor(0, 0)); return h },
	}
	for name, house := range houses {
		t.Run(name, func(t *testing.T) {
			h := house(t)
			h.tenant("other")
			tokens := map[string]string{"acme": h.token, "other": h.mint("other", directory.NewToken{})}
			for what, f := range map[string]struct{ change, tenant, provider string }{
				"nothing":  {"host = host", "acme", "main"},
				"tenant":   {"tenant_id = 'other'", "other", "main"},
				"id":       {"id = 'another'", "acme", "main"},
				"provider": {"provider = 'second'", "acme", "second"}, // of the same address
			} {
				h.store("acme", "main", what, mainKey)
				moved := what + "-moved" // the replica goes on to know a row by its old id
				h.exec("UPDATE credentials SET label = '"+moved+"', "+f.change, "tenant_id = 'acme' AND provider = 'main' AND label = '"+what+"'")
				h.provider.Forget()
				a := h.chat(f.provider+"/gpt-4o", "Authorization", "Bearer "+tokens[f.tenant], "Ownkey-Credential", moved)
				if sent := len(h.provider.Requests()); what == "nothing" && (a.status != 200 || sent != 1) || what != "nothing" && (a.status != 412 || a.code() != "credential_unusable" || sent != 0) {
					t.Errorf("%s: %d %s, %d requests were sent", what, a.status, a.body, sent)
				}
			}
		})
	}
}

// row is the tenant's default credential of a provider, as the replica has it.
func (h *house) row(provider string) *directory.Credential {
	h.t.Helper()
	tenant, err := h.directory.Tenant("acme")
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := tenant.Credential(provider, "default")
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// storeOld stores a secret that is bound to host:port alone, as they all were.
func (h *house) storeOld(label, baseURL, host, secret string) {
	h.t.Helper()
	ctx := context.Background()
	id, err := h.directory.CredentialID("acme", "main", label)
	if err != nil {
		h.t.Fatal(err)
	}
	sealed, err := h.ring.Current().Seal(ctx, vaultbridge.Context{Tenant: "acme", CredentialID: id, Provider: "main", Address: host}, []byte(secret))
	if err == nil {
		_, err = h.directory.PutCredential(ctx, directory.Credential{
			ID: id, TenantID: "acme", Provider: "main", Label: label, BaseURL: baseURL, Host: host,
			Keyring: sealed.Keyring, Key: sealed.Key, Sealed: sealed.Blob, KeyVersion: sealed.KeyVersion, Fingerprint: sealed.Fingerprint,
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// A row whose secret is bound to host:port alone goes on where the operator's
// configuration or https says where it leads, and nowhere else.
func TestOldBindingsAreUsedOnlyWhereTheyAreSafe(t *testing.T) {
	h := newHouse(t, func(o *options) { o.egress = []string{"127.0.0.0/8"} })
	host := upstream.HostPort(h.bases["main"])
	h.storeOld("own", "", host, mainKey)
	if a := h.chat("gpt-4o", "Ownkey-Credential", "own"); a.status != 200 {
		t.Errorf("the provider's own address: %d %s", a.status, a.body)
	}
	h.storeOld("said", h.provider.URL(), host, mainKey)
	if a := h.chat("gpt-4o", "Ownkey-Credential", "said"); a.status != 200 {
		t.Errorf("the provider's own address, said by the row: %d %s", a.status, a.body)
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	h.storeOld("secure", secure.URL+"/v1", secure.Listener.Addr().String(), mainKey)
	if a := h.chat("gpt-4o", "Ownkey-Credential", "secure"); a.code() != "upstream_unreachable" { // its certificate is nobody's
		t.Errorf("https: %d %s", a.status, a.body)
	}
	h.provider.Forget()
	for label, base := range map[string]string{"path": "http://" + host + "/v1/other", "port": "http://127.0.0.1:1/v1"} {
		to := map[string]string{"path": host, "port": "127.0.0.1:1"}[label]
		h.storeOld(label, base, to, mainKey)
		if a := h.chat("gpt-4o", "Ownkey-Credential", label); a.status != 412 || a.code() != "credential_unusable" {
			t.Errorf("%s: %d %s", base, a.status, a.body)
		}
	}
	if n := len(h.provider.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A rewrap binds such a row to its whole address, from where it is used again
// with the scheme and the path bound.
func TestRewrapBindsOldRows(t *testing.T) {
	houses := map[string]func(t *testing.T) *house{
		"local": func(t *testing.T) *house { return newHouse(t, cacheFor(0, 0)) },
		"vault": func(t *testing.T) *house { h, _ := newVaultHouse(t, cacheFor(0, 0)); return h },
	}
	for name, house := range houses {
		t.Run(name, func(t *testing.T) {
			h := house(t)
			host := upstream.HostPort(h.bases["main"])
			h.storeOld("default", "", host, mainKey)
			h.storeOld("elsewhere", "http://127.0.0.1:1/v1", "127.0.0.1:1", mainKey)
			if _, err := h.directory.StartRewrap(context.Background(), "acme"); err != nil {
				t.Fatal(err)
			}
			h.walker.Wake()
			h.eventually("the rewrap ends", func() bool {
				job, err := h.directory.LastRewrap(context.Background())
				return err == nil && job.State == directory.RewrapDone
			})
			if c := h.row("main"); c.Address != upstream.Address(h.bases["main"]) {
				t.Errorf("bound to %q", c.Address)
			}
			if a := h.chat("gpt-4o"); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
			h.exec("UPDATE credentials SET base_url = 'http://"+host+"/v2', address = 'http://"+host+"/v2'", "label = 'default' AND provider = 'main'")
			if a := h.chat("gpt-4o"); a.status != 412 {
				t.Errorf("another path: %d %s", a.status, a.body)
			}
			tenant, err := h.directory.Tenant("acme")
			if err != nil {
				t.Fatal(err)
			}
			if c, err := tenant.Credential("main", "elsewhere"); err != nil || c.Address != "" {
				t.Errorf("what leads elsewhere in clear was bound to %q, %v", c.Address, err)
			}
		})
	}
}
