package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/meter/invoice"
)

// TestInvoicePrintsTheAnswerAsItComes compares bytes: what is stored is what is
// printed.
func TestInvoicePrintsTheAnswerAsItComes(t *testing.T) {
	asked := ""
	plane := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		_, _ = io.WriteString(w, "not JSON\r\n\x00as it is")
	}))
	defer plane.Close()
	f := func(uri string, status int, args ...string) {
		t.Helper()
		asked = ""
		var printed bytes.Buffer
		terminal := stdout
		stdout = &plainWriter{to: &printed}
		got := run(append([]string{"invoice", "--admin-url", plane.URL, "--admin-token", "oka_test_0123456789"}, args...))
		stdout = terminal
		if got != status || asked != uri || (uri != "") != (printed.String() == "not JSON\r\n\\u0000as it is") {
			t.Errorf("%v: status %d, asked %s, printed %q", args, got, asked, printed.String())
		}
	}
	f("/admin/v1/invoices/acme/2026-05?format=text", 0, "--tenant", "acme", "--month", "2026-05")
	f("/admin/v1/invoices/acme/2026-05?format=csv", 0, "--tenant", "acme", "--month", "2026-05", "--format", "csv")
	f("/admin/v1/invoices/acme/2026-05?format=json", 0, "--tenant", "acme", "--month", "2026-05", "--json")
	f("", 2, "--tenant", "acme", "--month", "2026-5")
	f("", 2, "--tenant", "acme")
	f("", 2, "--tenant", "acme", "--month", "2026-05", "--format", "pdf")
}

// TestPricePlansTakesEveryPrice: no two fields change places.
func TestPricePlansTakesEveryPrice(t *testing.T) {
	b := config.Billing{DefaultPlan: "a", Plans: map[string]config.Plan{"a": {MemoryMonths: 1, Retrievals: 2, FreeMemoryMonths: 3, FreeRetrievals: 4, FlatFee: 5}}}
	want := invoice.Plan{Name: "a", MemoryMonths: 1, Retrievals: 2, FreeMemoryMonths: 3, FreeRetrievals: 4, FlatFee: 5}
	if got := pricePlans(func() *config.Config { return &config.Config{Billing: b} })("acme"); got != want {
		t.Errorf("got %+v", got)
	}
	if n, m := reflect.TypeFor[config.Plan]().NumField()+1, reflect.TypeFor[invoice.Plan]().NumField(); n != m {
		t.Errorf("%d fields in the configuration, %d on an invoice", n, m)
	}
}
