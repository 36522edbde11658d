package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestBodiesThatComeLate: a body may come slowly, for hours. What the token may do
// is judged as it stands when the body is there, not when it began: whoever opens
// calls in time does not get round a revocation.
func TestBodiesThatComeLate(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	const chat, store = "/v1/chat/completions", "/v1/buckets/default/memories"
	f := func(name, path string, n directory.NewToken, change func(tenant string, token *directory.Token) error, status int, code string) {
		t.Helper()
		tenant := "late-" + strings.ReplaceAll(name, " ", "-")
		h.tenant(tenant)
		h.store(tenant, "main", "default", mainKey)
		n.Label = "late"
		plain, token, err := h.directory.CreateToken(ctx, tenant, n)
		if err != nil {
			t.Fatal(err)
		}
		body := chatBody("gpt-4o-mini", false)
		if path == store {
			body = `{"content":"likes tea"}`
		}
		before := len(h.provider.Requests())
		c, r := h.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, plain, len(body), body[:5]))
		h.eventually("the call has begun", func() bool { return h.limiter.InFlight() == 1 })
		if err := change(tenant, token); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, body[5:])
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		got, _ := io.ReadAll(response.Body)
		if response.StatusCode != status || response.Header.Get("Ownkey-Error") != code {
			t.Errorf("%s: %d %s, want %d %s", name, response.StatusCode, got, status, code)
		}
		if reached := len(h.provider.Requests()) > before; reached != (status == 200) {
			t.Errorf("%s: reached the provider: %v", name, reached)
		}
		_ = c.Close()
		h.eventually("the call has ended", func() bool { return h.limiter.InFlight() == 0 })
	}
	revoke := func(tenant string, token *directory.Token) error {
		return h.directory.RevokeToken(ctx, tenant, token.ID)
	}
	update := func(c directory.TokenChange) func(string, *directory.Token) error {
		return func(tenant string, token *directory.Token) error {
			_, err := h.directory.UpdateToken(ctx, tenant, token.ID, c)
			return err
		}
	}
	f("revoked", chat, directory.NewToken{}, revoke, 401, "invalid_token")
	f("revoked when it stores", store, directory.NewToken{}, revoke, 401, "invalid_token")
	f("expired", chat, directory.NewToken{ExpiresAt: time.Now().Add(1500 * time.Millisecond)}, func(string, *directory.Token) error {
		time.Sleep(2 * time.Second) // the end of a token's life, in whole seconds
		return nil
	}, 401, "invalid_token")
	f("stopped", chat, directory.NewToken{}, func(tenant string, token *directory.Token) error {
		_, err := h.directory.StopToken(ctx, tenant, token.ID, "a test")
		return err
	}, 403, "token_stopped")
	f("suspended", chat, directory.NewToken{}, func(tenant string, _ *directory.Token) error {
		_, err := h.directory.SuspendTenant(ctx, tenant)
		return err
	}, 403, "not_allowed")
	f("deleted", chat, directory.NewToken{}, func(tenant string, _ *directory.Token) error { return h.directory.DeleteTenant(ctx, tenant, false) }, 401, "invalid_token")
	f("without a credential", chat, directory.NewToken{}, func(tenant string, _ *directory.Token) error {
		return h.directory.DeleteCredential(ctx, tenant, "main", "default")
	}, 412, "credential_missing")
	f("with another credential", chat, directory.NewToken{}, func(tenant string, _ *directory.Token) error {
		h.store(tenant, "main", "default", secondKey)
		return nil
	}, 200, "")
	if got := h.provider.Requests(); got[len(got)-1].Header.Get("Authorization") != "Bearer "+secondKey {
		t.Error("the credential of before was sent")
	}
	f("other models", chat, directory.NewToken{}, update(directory.TokenChange{Models: &[]string{"o3"}}), 403, "not_allowed")
	f("other scopes", store, directory.NewToken{}, update(directory.TokenChange{Scopes: &[]string{"inference"}}), 403, "not_allowed")
	f("other addresses", chat, directory.NewToken{}, update(directory.TokenChange{AllowFrom: &[]string{"203.0.113.0/24"}}), 403, "not_allowed")
	f("as it was", chat, directory.NewToken{}, func(string, *directory.Token) error { return nil }, 200, "")
}

// TestBudgetsThatAreSpentMeanwhile: a call whose body comes when the budget is
// spent is refused, also if it has begun before.
func TestBudgetsThatAreSpentMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.token = h.mint("acme", directory.NewToken{Limits: directory.Limits{TokensPerDay: 40}})
	body := chatBody("gpt-4o-mini", false)
	raw := h.raw("/v1/chat/completions", body)
	c, r := h.dial(raw[:len(raw)-5])
	h.eventually("the call has begun", func() bool { return h.limiter.InFlight() == 1 })
	for n := 0; h.chat("gpt-4o-mini").status == 200; n++ {
		if n == 20 {
			t.Fatal("the budget does not end")
		}
	}
	_, _ = io.WriteString(c, raw[len(raw)-5:])
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Ownkey-Error"); got != "budget_exhausted" {
		t.Errorf("%d %s", response.StatusCode, got)
	}
}

// TestUploadsEndWithTheirToken: an upload that passes through is asked of the
// provider from its head on, but nothing is done before its end, which does not
// come when its token is revoked.
func TestUploadsEndWithTheirToken(t *testing.T) {
	came := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		came <- err
	}))
	defer server.Close()
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
	plain, token, err := h.directory.CreateToken(context.Background(), "acme", directory.NewToken{Label: "upload"})
	if err != nil {
		t.Fatal(err)
	}
	c, r := h.dial(fmt.Sprintf("POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nContent-Length: 200000\r\n\r\n%s", plain, strings.Repeat("x", 100_000)))
	h.eventually("the call has begun", func() bool { return h.limiter.InFlight() == 1 })
	if err := h.directory.RevokeToken(context.Background(), "acme", token.ID); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, strings.Repeat("x", 50_000))
	time.Sleep(50 * time.Millisecond)
	_, _ = io.WriteString(c, strings.Repeat("x", 50_000))
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); response.StatusCode != 403 || response.Header.Get("Ownkey-Error") != "revoked" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if err := <-came; err == nil {
		t.Error("the provider got all of it")
	}
	h.eventually("no place is taken", func() bool { return h.limiter.InFlight() == 0 })
}
