package admin_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/internal/origin"
)

// Who guesses the token is slowed down and fills no log; who has it is not
// held up by that. Each call is written down, with ids of ours only.
func TestAdminCallsAreGuarded(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	digest := sha256.Sum256([]byte("oka_test"))
	actor := fmt.Sprintf("admin-token:%x", digest[:4])
	refused, slowed := 0, 0
	for range 200 {
		switch status, _, raw := p.as("Bearer oka_guess", "DELETE", "/tenants/acme", ""); status {
		case http.StatusUnauthorized:
			refused++
		case http.StatusTooManyRequests:
			slowed++
		default:
			t.Fatalf("%d %s", status, raw)
		}
	}
	if refused > 50 || slowed < 100 {
		t.Errorf("%d guesses were answered, %d slowed down", refused, slowed)
	}
	p.want("GET", "/tenants/acme", "", 200)
	p.want("DELETE", "/tenants/secret%20text/tokens/x", "", 404)
	p.want("PATCH", "/tenants/acme", `{"name":"Acme"}`, 200)
	log := p.log.String()
	if n := strings.Count(log, "admin call without the token"); n == 0 || n > refused {
		t.Errorf("%d lines about guesses", n)
	}
	if !strings.Contains(log, `"call":"PATCH /admin/v1/tenants/{tenant}","status":200,"from":"127.0.0.1"`) || !strings.Contains(log, `"tenant":"acme"`) {
		t.Errorf("the call is not written down: %s", log)
	}
	if read := `"level":"info","tenant":"acme","actor":"` + actor + `","call":"GET /admin/v1/tenants/{tenant}","status":200`; !strings.Contains(log, read) {
		t.Errorf("a call that only reads is not written down as %s: %s", read, log)
	}
	p.log.Reset()
	request, _ := http.NewRequest("GET", p.server.URL+"/metrics", http.NoBody)
	request.Header.Set("Authorization", "Bearer oka_test")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
	if scrape := p.log.String(); !strings.Contains(scrape, `"level":"debug"`) || !strings.Contains(scrape, `"call":"GET /metrics"`) {
		t.Errorf("a scrape is written down as %s", scrape)
	}
	if strings.Contains(log, "secret") || strings.Contains(log, "oka_") {
		t.Errorf("the log quotes a caller: %s", log)
	}
}

// TestAuditSaysWhoseCallItWas: behind a proxy that is trusted, the client's
// address is written down; what others say of themselves is not.
func TestAuditSaysWhoseCallItWas(t *testing.T) {
	for trusted, want := range map[string]string{"127.0.0.0/8": "203.0.113.9", "10.0.0.0/8": "127.0.0.1"} {
		p := newPlaneWith(t, func(o *admin.Options) {
			one, _ := origin.Parse(trusted)
			o.Proxies = origin.Prefixes{one}
		})
		for _, authorization := range []string{"Bearer oka_test", "Bearer oka_guess"} {
			r, err := http.NewRequest("GET", p.server.URL+"/admin/v1/tenants", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", authorization)
			r.Header.Set("X-Forwarded-For", "198.51.100.7, 203.0.113.9")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
		}
		if log := p.log.String(); strings.Count(log, `"from":"`+want+`"`) != 2 || strings.Contains(log, "198.51.100.7") {
			t.Errorf("trusting %s: %s", trusted, log)
		}
	}
}

// Profiles are there only when the operator wants them, and only with the token.
func TestProfilesAreOffByDefault(t *testing.T) {
	get := func(p *plane, path, authorization string) int {
		t.Helper()
		r, err := http.NewRequest("GET", p.server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	off := newPlane(t)
	on := newPlaneWith(t, func(o *admin.Options) { o.Pprof = true })
	for path, want := range map[string]int{"/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=2": 200, "/debug/pprof/cmdline": 404, "/debug/pprof/": 404, "/debug/pprof/profile?seconds=1": 200} {
		if got := get(off, path, "Bearer oka_test"); got != 404 {
			t.Errorf("off, %s: %d", path, got)
		}
		if got := get(on, path, "Bearer oka_test"); got != want {
			t.Errorf("on, %s: %d, want %d", path, got, want)
		}
		if got := get(on, path, "Bearer oka_guess"); got != 401 {
			t.Errorf("without the token, %s: %d", path, got)
		}
	}
}
