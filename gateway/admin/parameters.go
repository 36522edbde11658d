package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// parameters are those that a call knows. All others have none.
var parameters = map[string][]string{
	"GET /admin/v1/tenants":                      {"limit", "cursor"},
	"DELETE /admin/v1/tenants/{tenant}":          {"shred"},
	"GET /admin/v1/tenants/{tenant}/tokens":      {"limit", "cursor"},
	"GET /admin/v1/tenants/{tenant}/credentials": {"limit", "cursor"},
	"GET /admin/v1/invoices/{tenant}/{month}":    {"format"},
	"GET /admin/v1/evidence/{tenant}":            {"from", "to", "format"},
	"GET /admin/v1/reconcile":                    {"provider", "tenant", "from", "to", "limit", "cursor"},
	"GET /admin/v1/usage":                        {"tenant", "token", "by", "from", "to", "limit", "cursor"},
	"GET /admin/v1/records":                      {"tenant", "book", "from", "to", "watermark"},
}

// onlyKnown refuses a query that cannot be read, and a parameter that the call does
// not know or that stands there twice: one that was meant to narrow a list down, or
// to try a deletion, must not be overlooked.
func onlyKnown(rawQuery string, known []string) error {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return &failure{http.StatusBadRequest, "invalid_request", "", "the query can not be read"}
	}
	for name, all := range values {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return &failure{http.StatusBadRequest, "invalid_request", name, "there is no such parameter; this call has none"}
		case !slices.Contains(known, name):
			return &failure{http.StatusBadRequest, "invalid_request", name, "there is no such parameter; there are: " + strings.Join(known, ", ")}
		case len(all) > 1:
			return &failure{http.StatusBadRequest, "invalid_request", name, name + ": must be given once"}
		}
	}
	return nil
}
