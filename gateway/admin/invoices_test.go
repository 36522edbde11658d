package admin_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/invoice"
)

// events is a book of one retrieval, issued when it is asked for.
type events struct{ err error }

// MemoryEvents is invoice.Events'.
func (e *events) MemoryEvents(_ context.Context, tenant string, _, _, until, _ time.Time, each func(*meter.MemoryEvent) error) error {
	if e.err != nil {
		return e.err
	}
	return each(&meter.MemoryEvent{
		EventID: uuid.UUID{1}, At: until.Add(-time.Microsecond), TenantID: tenant, BucketID: "default", Op: meter.MemoryRetrieved, Count: 1,
	})
}

// EarliestLate is invoice.Events': nothing comes late.
func (e *events) EarliestLate(context.Context, string, time.Time, time.Time, time.Time) (time.Time, bool, error) {
	return time.Time{}, false, e.err
}

// CountTaken is invoice.Events'.
func (e *events) CountTaken(context.Context, string, time.Time) (int64, error) { return 1, e.err }

func newBook(t *testing.T, p *plane, database *db.DB) *invoice.Book {
	t.Helper()
	book, err := invoice.New(t.Context(), invoice.Options{
		Events: p.events, Tenants: p.directory, DB: database, Now: time.Now,
		Plan: func(string) invoice.Plan { return invoice.Plan{Name: "standard", Retrievals: 1_500_000} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestInvoice(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	path := "/invoices/acme/" + time.Now().UTC().Format("2006-01")
	got := p.want("GET", path, "", 200)
	if got["tenant"] != "acme" || got["state"] != "draft" || got["total_micro_usd"] != 1500.0 {
		t.Errorf("got %v", got)
	}
	f := func(format, mediaType, begins string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodGet, p.server.URL+"/admin/v1"+path+"?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer oka_test")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		_, _, raw := p.call("GET", path+"?format="+format, "")
		if response.Header.Get("Content-Type") != mediaType || !strings.HasPrefix(raw, begins) {
			t.Errorf("%s: %s\n%s", format, response.Header, raw)
		}
	}
	f("json", "application/json", "{\n")
	f("text", "text/plain; charset=utf-8", "Invoice acme")
	f("csv", "text/csv; charset=utf-8", "tenant,month")
	f("html", "text/html; charset=utf-8", "<!doctype html>")
	// A deleted tenant still gets its last invoice.
	p.want("DELETE", "/tenants/acme", "", 204)
	p.want("GET", path, "", 200)
	// Another token, or none.
	for _, authorization := range []string{"Bearer oka_other", ""} {
		if status, _, raw := p.as(authorization, "GET", path, ""); status != 401 || strings.Contains(raw, "acme") {
			t.Errorf("%q: %d %s", authorization, status, raw)
		}
	}
}

func TestInvoiceRefused(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	f := func(path string, status int, code, param, message string) {
		t.Helper()
		got, _ := p.want("GET", "/invoices/"+path, "", status)["error"].(map[string]any)
		said, _ := got["param"].(string)
		text, _ := got["message"].(string)
		if got["code"] != code || said != param || !strings.Contains(text, message) {
			t.Errorf("%s: %v", path, got)
		}
	}
	f("acme/may", 400, "invalid_request", "month", "want a month as YYYY-MM, such as 2026-05")
	f("acme/2026-13", 400, "invalid_request", "month", "want a month as YYYY-MM")
	f("acme/2999-01", 400, "invalid_request", "month", "it has not begun; the latest is 20")
	f("acme/2001-01", 400, "invalid_request", "month", "before the tenant was created; the first is 20")
	now := time.Now().UTC().Format("2006-01")
	f("acme/"+now+"?format=pdf", 400, "invalid_request", "format", "want json, text, csv or html")
	f("acme/"+now+"?format=", 400, "invalid_request", "format", "want json, text, csv or html")
	f("nobody/"+now, 404, "not_found", "", "there is no such tenant")
	p.events.err = errors.New("dial 10.0.0.1: refused")
	f("acme/"+now, 503, "store_unavailable", "", "the book of memory events can not be reached; try again")
}
