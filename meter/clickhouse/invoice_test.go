package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/sqlite"
)

// always is a tenant that was there before the month.
type always struct{}

func (always) Lifetime(context.Context, string) (created, deleted time.Time, err error) {
	return month.AddDate(0, 0, -1), time.Time{}, nil
}

var (
	month = time.Date(time.Now().Year(), time.Now().Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -1, 0)
	plan  = invoice.Plan{Name: "standard", MemoryMonths: 123_457, Retrievals: 54_321, FreeMemoryMonths: 7, FreeRetrievals: 90, FlatFee: 1_999_999}
)

// monthOfRows simulates a month of a tenant: memories that come and go, retrievals,
// and requests whose token counts are multiplied.
func monthOfRows(tokens int64) *drain.Batch {
	random := rand.New(rand.NewPCG(11, 12))
	b := &drain.Batch{Gateway: gateway}
	for i := range 4000 {
		at := month.Add(time.Duration(random.Int64N(int64(28 * 24 * time.Hour)))).Truncate(time.Microsecond)
		m := &meter.MemoryEvent{At: at, TenantID: "acme", TokenID: "t", BucketID: fmt.Sprint("b", random.IntN(4)), Count: 1 + random.Int64N(20), Bytes: random.Int64N(900)}
		m.Op = []meter.MemoryOp{meter.MemoryStored, meter.MemoryStored, meter.MemoryDeleted, meter.MemoryRetrieved}[random.IntN(4)]
		for j := range m.EventID {
			m.EventID[j] = byte(random.Uint32())
		}
		b.Memory = append(b.Memory, m)
		if i%4 == 0 {
			r := request(i)
			r.Start, r.TenantID = at, "acme"
			r.InputTokens.N, r.OutputTokens.N = r.InputTokens.N*tokens, r.OutputTokens.N*tokens
			b.Requests = append(b.Requests, r)
		}
	}
	return b
}

// close makes the month's invoice over a store's billing book, as all its forms.
func closeMonth(t *testing.T, events invoice.Events) (*invoice.Document, map[invoice.Format]string) {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "invoices.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	now := time.Now().AddDate(1, 0, 0).Truncate(24 * time.Hour) // everything was taken in by then
	book, err := invoice.New(t.Context(), invoice.Options{Events: events, Tenants: always{}, DB: d, Plan: func(string) invoice.Plan { return plan }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := book.Invoice(t.Context(), "acme", invoice.MonthOf(month))
	if err != nil {
		t.Fatal(err)
	}
	forms := map[invoice.Format]string{}
	for _, f := range []invoice.Format{invoice.JSON, invoice.Text, invoice.CSV, invoice.HTML} {
		var b bytes.Buffer
		if err := doc.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		forms[f] = b.String()
	}
	return doc, forms
}

// TestTokensDoNotMoveTheInvoice multiplies all counts of tokens by a thousand:
// the invoice is the same to the byte, in each of its forms, over ClickHouse and
// over SQLite.
func TestTokensDoNotMoveTheInvoice(t *testing.T) {
	var first map[invoice.Format]string
	for _, tokens := range []int64{1, 1000} {
		b := newBed(t).open()
		b.take(monthOfRows(tokens))
		b.flush()
		if sum := b.ask("SELECT sum(output_tokens) FROM $requests"); sum != fmt.Sprint(800*20*tokens) {
			t.Fatalf("%s output tokens", sum)
		}
		d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "usage.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		embedded, err := sqlite.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := embedded.Take(t.Context(), monthOfRows(tokens)); err != nil {
			t.Fatal(err)
		}
		for name, store := range map[string]invoice.Events{"ClickHouse": b, "SQLite": embedded} {
			doc, forms := closeMonth(t, store)
			if first == nil {
				first = forms
			}
			for format, text := range forms {
				if text != first[format] {
					t.Errorf("%s, tokens × %d: another invoice as %v:\n%s\n%s", name, tokens, format, text, first[format])
				}
			}
			if doc.Total <= plan.FlatFee || doc.Events == 0 {
				t.Errorf("nothing is charged: %+v", doc)
			}
		}
		b.close()
	}
}

// TestInvoiceRecomputedFromRawRows has the program in docs/billing.md compute
// the month from what a query of ClickHouse gives.
func TestInvoiceRecomputedFromRawRows(t *testing.T) {
	b := newBed(t).open()
	defer b.close()
	b.take(monthOfRows(1))
	b.flush()
	page, err := os.ReadFile("../../docs/billing.md")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(page)
	doc, forms := closeMonth(t, b)
	file := filepath.Join(t.TempDir(), "invoice.json")
	if err := os.WriteFile(file, []byte(forms[invoice.JSON]), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := clickhousetest.Run(t, b.engine, "SELECT event_id, concat(replaceOne(toString(at), ' ', 'T'), 'Z') AS at, tenant, token, bucket, request_id, op, count, bytes FROM "+
		b.name+".memory_events FINAL FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0")
	run := exec.CommandContext(t.Context(), "python3", "-c", string(program[1]), file)
	run.Stdin = strings.NewReader(rows)
	out, err := run.CombinedOutput()
	if want := fmt.Sprintf("total %d micro-USD, %d events, SHA-256 %s", doc.Total, doc.Events, doc.SHA256); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("the program says %s %v, the invoice %s", out, err, want)
	}
	t.Logf("%s", out)
}
