package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/vaultbridge"
)

// storeAt seals a credential with a base URL of its own.
func (h *house) storeAt(label, baseURL, secret string) {
	h.t.Helper()
	ctx := context.Background()
	id, err := h.directory.CredentialID("acme", "main", label)
	if err != nil {
		h.t.Fatal(err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(baseURL, "http://"), "/")
	sealed, err := h.keyring.Seal(ctx, vaultbridge.Context{Tenant: "acme", CredentialID: id, Provider: "main", Address: baseURL}, []byte(secret))
	if err == nil {
		_, err = h.directory.PutCredential(ctx, directory.Credential{
			ID: id, TenantID: "acme", Provider: "main", Label: label, BaseURL: baseURL, Host: host, Address: baseURL, Keyring: sealed.Keyring, Sealed: sealed.Blob,
			KeyVersion: sealed.KeyVersion, Fingerprint: sealed.Fingerprint,
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// A base URL that a tenant chose does not lead into our own network.
func TestTenantsDoNotReachOurNetwork(t *testing.T) {
	var calls atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { calls.Add(1); w.WriteHeader(204) }))
	defer inside.Close()
	h := newHouse(t)
	h.storeAt("inside", inside.URL+"/v1", "sk-inside")
	if a := h.chat("gpt-4o-mini", "Ownkey-Credential", "inside"); a.status != 412 || a.code() != "credential_unusable" || !strings.Contains(a.body, "egress.allow") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls arrived", calls.Load())
	}
	// The provider's own host, which the operator chose, with another path.
	h.storeAt("path", h.provider.URL(), mainKey)
	if a := h.chat("gpt-4o-mini", "Ownkey-Credential", "path"); a.status != 200 {
		t.Errorf("the provider's own host: %d %s", a.status, a.body)
	}
	open := newHouse(t, func(o *options) { o.egress = []string{"127.0.0.0/8"} })
	open.storeAt("inside", inside.URL+"/v1", "sk-inside")
	if a := open.chat("gpt-4o-mini", "Ownkey-Credential", "inside"); a.status != 204 || calls.Load() != 1 {
		t.Errorf("an allowed range: %d %s", a.status, a.body)
	}
}

// A provider's redirect is the client's to read, and leads us nowhere: the
// credential was sealed for one host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var stolen atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		turning := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Location", elsewhere.URL+"/v1/chat/completions")
			w.WriteHeader(status)
		}))
		h := newHouse(t, func(o *options) { o.provider = turning.URL + "/v1" })
		request, err := http.NewRequest("POST", "http://"+h.addr+"/v1/chat/completions", strings.NewReader(chatBody("gpt-4o-mini", false)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+h.token)
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != status || answer.Header.Get("Location") != elsewhere.URL+"/v1/chat/completions" {
			t.Errorf("%d with Location %q", answer.StatusCode, answer.Header.Get("Location"))
		}
		turning.Close()
	}
	if stolen.Load() != 0 {
		t.Errorf("%d redirects were followed", stolen.Load())
	}
}

// Who a caller is does not hang on the Host header.
func TestHostHeaderDecidesNothing(t *testing.T) {
	h := newHouse(t)
	for _, host := range []string{"", "localhost", "127.0.0.1:8081", "admin", "api.openai.com", "evil.example", "[::1]"} {
		for _, token := range []string{h.token, "ok_nobody"} {
			request, err := http.NewRequest("POST", "http://"+h.addr+"/v1/chat/completions", strings.NewReader(chatBody("gpt-4o-mini", false)))
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			request.Header.Set("Authorization", "Bearer "+token)
			request.Header.Set("X-Forwarded-Host", host)
			answer, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if want := map[bool]int{true: 200, false: 401}[token == h.token]; answer.StatusCode != want {
				t.Errorf("host %q: %d, want %d", host, answer.StatusCode, want)
			}
		}
	}
	for _, head := range []string{"Host:\r\n", ""} { // no client library writes these
		raw := strings.Replace(h.raw("/v1/chat/completions", chatBody("m", false)), "Host: x\r\n", head, 1)
		if _, r := h.dial(raw); !strings.HasPrefix(firstLine(r), "HTTP/1.1 400") {
			t.Errorf("%q is served in HTTP/1.1", head)
		}
	}
	for _, r := range h.provider.Requests() {
		if r.Header.Get("X-Forwarded-Host") != "" {
			t.Error("X-Forwarded-Host went on to the provider")
		}
	}
}
