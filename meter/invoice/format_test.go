package invoice

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/meter"
)

var update = flag.Bool("update", false, "write golden files")

// sample has a closed February with an adjustment of January, prices, an
// allowance, and buckets with names that are hard to write.
func sample(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.plan.FreeRetrievals, d.plan.FreeMemoryMonths, d.plan.FlatFee = 100, 50, 20_000_000
	d.event("2026-01-01T00:00:00Z", "default", meter.MemoryStored, 1234)
	d.event("2026-01-05T00:00:00Z", "default", meter.MemoryRetrieved, 77)
	d.event("2026-02-03T04:05:06.789012Z", `=HYPERLINK("http://x"),<b>&`, meter.MemoryStored, 3)
	d.event("2026-02-04T00:00:00Z", "-1+2", meter.MemoryRetrieved, 250)
	d.event("2026-02-05T00:00:00Z", "caf\u00e9 \x1b[31m", meter.MemoryRetrieved, 5)
	d.now = at("2026-02-09T12:00:00Z")
	d.invoice("2026-01")
	d.late("2026-02-20T00:00:00Z", "2026-01-21T00:00:00Z", "default", meter.MemoryDeleted, 1000)
	d.now = at("2026-03-04T08:30:00.000001Z")
	return d
}

func TestFormsAreGolden(t *testing.T) {
	d := sample(t)
	for _, f := range Formats {
		got := d.written("2026-02", f)
		golden := filepath.Join("testdata", "invoice."+string(f))
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s (%v):\n%s", golden, err, got)
		}
		if f.ContentType() == "" {
			t.Errorf("%s has no media type", f)
		}
	}
}

// TestStoredFormsAreTheDocuments: what is stored in other forms follows from
// the stored JSON.
func TestStoredFormsAreTheDocuments(t *testing.T) {
	d := sample(t)
	stored, err := open([]byte(d.written("2026-02", JSON)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Formats {
		var b bytes.Buffer
		if err := stored.Write(&b, f); err != nil || b.String() != d.written("2026-02", f) {
			t.Errorf("%s: %v\n%s", f, err, b.String())
		}
	}
}

func TestCSVIsATable(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(sample(t).written("2026-02", CSV))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, r := range rows {
		for _, c := range r {
			number := regexp.MustCompile(`^-[0-9.]+$`).MatchString(c)
			if strings.ContainsAny(c[:min(1, len(c))], "=+-@\t\r\n") && !number {
				t.Errorf("row %d: %q may be taken for a formula", i, c)
			}
		}
		if r[4] == "total" {
			sum++
		}
	}
	if sum != 1 || rows[len(rows)-1][5] != inference {
		t.Errorf("got %v", rows)
	}
	f := func(in, want string) {
		t.Helper()
		if got := cell(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	f("", "")
	f("acme", "acme")
	f("=1+1", "'=1+1")
	f("@x", "'@x")
	f("-1", "'-1")
	f("+1", "'+1")
	f("\t=x\n", "\ufffd=x\ufffd")
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := sample(t).written("2026-02", HTML)
	for _, banned := range []string{"<b>", "http://x\")", "<script", "<link", "src=", "@import", "url("} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %s", banned)
		}
	}
	if !strings.Contains(page, "@media print") || !strings.Contains(page, "&lt;b&gt;") {
		t.Error("the page is not to be printed, or does not escape")
	}
}

// TestNoWordOfInference: no form of an invoice, and no member of a document,
// has a word for what inference consumes.
func TestNoWordOfInference(t *testing.T) {
	banned := regexp.MustCompile(`(?i)token|prompt|completion|input|output|model|cached|reasoning`)
	d := sample(t)
	for _, f := range Formats {
		if found := banned.FindString(d.written("2026-02", f)); found != "" {
			t.Errorf("%s says %q", f, found)
		}
	}
	var walk func(reflect.Type)
	walk = func(v reflect.Type) {
		for v.Kind() == reflect.Slice || v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.PkgPath() != reflect.TypeFor[Document]().PkgPath() {
			return
		}
		for f := range v.Fields() {
			if banned.MatchString(f.Name + f.Tag.Get("json")) {
				t.Errorf("%s has %s", v, f.Name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Document]())
	for _, f := range Formats {
		said := strings.ReplaceAll(d.written("2026-02", f), "\n", " ")
		if !strings.Contains(said, "Inference is billed by the provider to the tenant. This invoice carries no amount for it.") {
			t.Errorf("%s does not say who bills inference", f)
		}
	}
}

func TestEmptyInvoice(t *testing.T) {
	d := newDesk(t)
	var got map[string]any
	if err := json.Unmarshal([]byte(d.written("2026-01", JSON)), &got); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"lines", "adjustments"} {
		if l, ok := got[list].([]any); !ok || len(l) != 0 {
			t.Errorf("%s is %v", list, got[list])
		}
	}
	// SHA-256 of nothing.
	if got["events_sha256"] != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" || got["total_micro_usd"] != 0.0 {
		t.Errorf("got %v", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	for _, f := range Formats {
		if got, err := ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	for _, bad := range []string{"", "pdf", "JSON"} {
		if _, err := ParseFormat(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := newDesk(t).invoice("2026-01").Write(io.Discard, Format(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
