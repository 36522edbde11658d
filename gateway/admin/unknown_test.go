package admin_test

import (
	"strings"
	"testing"

	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/sqlite"
)

// TestUnknownTenantIsSaid: a call about a tenant that is not there says so, and
// gives no empty answer that looks like one of a tenant without calls.
func TestUnknownTenantIsSaid(t *testing.T) {
	p := newPlaneWith(t, func(o *admin.Options) {
		o.Evidence, o.Platform = o.Usage.Books.(*sqlite.Store), func() evidence.Scan { return evidence.Scan{} }
	})
	for _, call := range []string{
		"GET /tenants/nope", "PATCH /tenants/nope {}", "POST /tenants/nope/suspend", "POST /tenants/nope/resume", "DELETE /tenants/nope",
		"POST /tenants/nope/tokens {}", "GET /tenants/nope/tokens", "DELETE /tenants/nope/tokens/x", `PATCH /tenants/nope/tokens/x {"models":["*"]}`,
		"POST /tenants/nope/tokens/x/stop", "POST /tenants/nope/tokens/x/resume", "GET /tenants/nope/credentials",
		`PUT /tenants/nope/credentials/openai/default {"secret":"sk-1"}`, "GET /tenants/nope/credentials/openai/default", "DELETE /tenants/nope/credentials/openai/default",
		"POST /tenants/nope/credentials/openai/default/test", "POST /tenants/nope/credentials/openai/default/rollback",
		"POST /tenants/nope/rotate", `POST /rewrap {"tenant":"nope"}`, "GET /invoices/nope/2026-01", "GET /evidence/nope",
		"GET /reconcile?provider=openai&tenant=nope", "GET /usage?tenant=nope", "GET /records?tenant=nope", "GET /records?tenant=nope&book=memory_events",
	} {
		method, rest, _ := strings.Cut(call, " ")
		path, body, _ := strings.Cut(rest, " ")
		if status, _, raw := p.call(method, path, body); status != 404 || !strings.Contains(raw, `"not_found"`) {
			t.Errorf("%s: %d %.200s", call, status, raw)
		}
	}
}
