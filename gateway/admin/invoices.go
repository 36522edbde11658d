package admin

import (
	"bytes"
	"context"
	"net/http"

	"github.com/ownkey/ownkey/meter/invoice"
)

// Invoices computes what the platform charges.
type Invoices interface {
	// Invoice gives a tenant's invoice for a month; its errors are
	// invoice.Book's.
	Invoice(ctx context.Context, tenant string, month invoice.Month) (*invoice.Document, error)
}

// getInvoice answers an invoice in the format that is asked for. To ask closes
// a month that is over.
func (s *server) getInvoice(w http.ResponseWriter, r *http.Request) error {
	format := invoice.JSON
	if query := r.URL.Query(); query.Has("format") {
		var err error
		if format, err = invoice.ParseFormat(query.Get("format")); err != nil {
			return err
		}
	}
	month, err := invoice.ParseMonth(r.PathValue("month"))
	if err != nil {
		return err
	}
	_ = s.Usage.Flush(r.Context()) // the watermark says what was counted
	document, err := s.Invoices.Invoice(r.Context(), r.PathValue("tenant"), month)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := document.Write(&b, format); err != nil {
		return err
	}
	w.Header().Set("Content-Type", format.ContentType())
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = b.WriteTo(w) // a client that left needs no answer
	return nil
}
