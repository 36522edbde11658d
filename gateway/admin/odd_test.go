package admin_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/ownkey/ownkey/gateway/admin"
)

// TestTimesThatCannotBeAnswered: what is asked about a time is answered, or refused
// with the parameter's name, for every time that can be written.
func TestTimesThatCannotBeAnswered(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	for _, at := range []string{
		"0000-01-01", "0000-01-01T00:00:00+23:59", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "9999-12-31T00:00:00.999999999Z", "1969-12-31", "2262-04-12", "2300-01-01",
	} {
		for _, path := range []string{"/usage?tenant=acme&by=hour", "/usage?by=day", "/records?book=requests"} {
			for _, param := range []string{"from", "to"} {
				status, _, said := p.call("GET", path+"&"+param+"="+url.QueryEscape(at), "")
				if status != 200 && status != 400 || status == 200 && said == "" && path[:4] != "/rec" {
					t.Errorf("%s %s=%s: %d %.100s", path, param, at, status, said)
				}
			}
		}
	}
}

// TestAdminParametersAreKnown: no call passes over a parameter, least of all one that
// was meant to narrow it down, or to try it.
func TestAdminParametersAreKnown(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	token := p.want("POST", "/tenants/acme/tokens", `{}`, 201)["id"].(string)
	for _, c := range []struct{ method, path string }{
		{"DELETE", "/tenants/acme?dry_run=true"},
		{"DELETE", "/tenants/acme?Shred=true"},
		{"DELETE", "/tenants/acme?shred=false&shred=true"},
		{"DELETE", "/tenants/acme/tokens/" + token + "?dry_run=true"},
		{"POST", "/tenants/acme/suspend?until=tomorrow"},
		{"GET", "/tenants?offset=3"},
		{"GET", "/tenants/acme/tokens?limit=1&limit=2"},
		{"GET", "/records?tenants=acme"},
		{"GET", "/records?tenant=acme;book=requests"},
		{"GET", "/records?tenant=acme&limit=3"},
		{"GET", "/usage?tennant=acme"},
		{"GET", "/usage?by=day&%zz"},
	} {
		if status, _, said := p.call(c.method, c.path, ""); status != 400 {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, said)
		}
	}
	u := &admin.UsageAPI{Now: time.Now}
	for _, query := range []string{"tennant=acme", "by=day&by=hour", "by=day&%zz"} {
		if status, code, said := u.Answer(t.Context(), "acme", query); status != 400 || code != "invalid_request" {
			t.Errorf("a tenant's own question %s: %d %s", query, status, said)
		}
	}
	p.want("GET", "/tenants/acme", "", 200)
	p.want("GET", "/usage?tenant=acme&by=day&from=2026-01-01&to=2026-02-01&limit=3&token=x&cursor=", "", 200)
}
