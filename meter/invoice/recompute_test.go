package invoice

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// script is the program in docs/billing.md.
func script(t *testing.T) string {
	t.Helper()
	docs, err := os.ReadFile("../../docs/billing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(docs), "```python\n")
	program, _, found := strings.Cut(after, "```")
	if n := strings.Count(program, "\n"); !found || n > 30 {
		t.Fatalf("the program has %d lines", n)
	}
	return program
}

// raw are the events taken in by a watermark, as JSON lines in no order.
func raw(t *testing.T, l *ledger, watermark time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	printer := meter.NewPrinter(&b)
	for i := range l.rows {
		r := l.rows[len(l.rows)-1-i]
		if r.in.After(watermark) {
			continue
		}
		printer.Print(&r.MemoryEvent)
	}
	return b.Bytes()
}

// recompute runs the program on an invoice.
func recompute(t *testing.T, program string, invoice string, events []byte) (said string, ok bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "invoice.json")
	if err := os.WriteFile(file, []byte(invoice), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "python3", "-c", program, file)
	run.Stdin = bytes.NewReader(events)
	out, err := run.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), err == nil
}

// TestProgramInTheDocsAgrees simulates months, closes them, and has each
// recomputed from raw events by the program in docs/billing.md.
func TestProgramInTheDocsAgrees(t *testing.T) {
	program := script(t)
	d := newDesk(t)
	d.plan = Plan{Name: "standard", MemoryMonths: 123_457, Retrievals: 54_321, FreeMemoryMonths: 700, FreeRetrievals: 900, FlatFee: 1_999_999}
	random := rand.New(rand.NewPCG(7, 7))
	history(random, d.ledger, 4000)
	// Ids that need an escape.
	d.add(at("2026-02-10T00:00:00Z"), meter.MemoryEvent{At: at("2026-02-10T00:00:00.5Z"), BucketID: "a\\b\tc\nd é", Op: meter.MemoryStored, Count: 9})
	adjusted := 0
	for m := month("2026-01"); m.Before(month("2026-06")); m = m.Next() {
		d.now = m.End().Add(Grace + time.Hour + 123*time.Microsecond)
		doc := d.invoice(m.String())
		said, ok := recompute(t, program, d.written(m.String(), JSON), raw(t, d.ledger, doc.Watermark))
		if !ok {
			t.Errorf("%s: invoice %s micro-USD, program: %s", m, d.written(m.String(), Text), said)
		}
		net := doc.net()
		if want := fmt.Sprintf("usage %d total %d micro-USD, %d events, SHA-256 %s",
			net.MemoryAmount+net.RetrievalsAmount, doc.Total, doc.Events, doc.SHA256); said != want {
			t.Errorf("%s: invoice: %s, program: %s", m, want, said)
		}
		for _, a := range doc.Adjustments {
			adjusted++
			said, _ := recompute(t, program, d.written(a.Month.String(), JSON), raw(t, d.ledger, doc.Watermark))
			if want := fmt.Sprintf("usage %d ", a.Recomputed); !strings.HasPrefix(said, want) || !strings.HasSuffix(said, a.SHA256) {
				t.Errorf("adjustment of %s on %s: %+v, program: %s", a.Month, m, a, said)
			}
		}
	}
	if adjusted < 3 {
		t.Errorf("only %d adjustments were checked", adjusted)
	}
	// A draft of a month that is running.
	d.now = at("2026-06-11T10:09:08.000700Z")
	if said, ok := recompute(t, program, d.written("2026-06", JSON), raw(t, d.ledger, d.now)); !ok {
		t.Errorf("draft: %s, program: %s", d.written("2026-06", JSON), said)
	}
	// It does notice: one event less, one micro-dollar more.
	closed := d.written("2026-02", JSON)
	events := raw(t, d.ledger, d.invoice("2026-02").Watermark)
	if _, ok := recompute(t, program, closed, events[bytes.IndexByte(events, '\n')+1:]); ok {
		t.Error("a missing event goes unnoticed")
	}
	total := fmt.Sprintf(`"total_micro_usd": %d`, d.invoice("2026-02").Total)
	more := fmt.Sprintf(`"total_micro_usd": %d`, d.invoice("2026-02").Total+1)
	if _, ok := recompute(t, program, strings.Replace(closed, total, more, 1), events); ok {
		t.Error("a micro-dollar too much goes unnoticed")
	}
}
