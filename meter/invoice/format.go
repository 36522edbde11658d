package invoice

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format is a form of a document.
type Format string

// The forms of a document.
const (
	JSON Format = "json" // for programs; members keep their names and order
	Text Format = "text" // for terminals
	CSV  Format = "csv"  // for spreadsheets
	HTML Format = "html" // one page, to be printed
)

// Formats are all of them.
var Formats = []Format{JSON, Text, CSV, HTML}

// ParseFormat reads a format's name. The error is ErrFormat.
func ParseFormat(s string) (Format, error) {
	if !slices.Contains(Formats, Format(s)) {
		return "", ErrFormat
	}
	return Format(s), nil
}

// ContentType gives the media type.
func (f Format) ContentType() string {
	return map[Format]string{
		JSON: "application/json", Text: "text/plain; charset=utf-8",
		CSV: "text/csv; charset=utf-8", HTML: "text/html; charset=utf-8",
	}[f]
}

// Write writes the document. A closed one is written byte for byte as it was
// when it was closed.
func (d *Document) Write(w io.Writer, f Format) error {
	b, ok := d.rendered[f]
	if !ok {
		var err error
		if b, err = d.render(f); err != nil {
			return err
		}
	}
	_, err := w.Write(b)
	return err
}

func (d *Document) render(f Format) (b []byte, err error) {
	switch f {
	case JSON:
		b, err = json.MarshalIndent(d, "", "  ")
		b = append(b, '\n')
	case Text:
		b = d.text()
	case CSV:
		b, err = d.csv()
	case HTML:
		b, err = d.html()
	default:
		err = ErrFormat
	}
	if err != nil {
		return nil, fmt.Errorf("cannot write invoice as %q: %w", f, err)
	}
	return b, nil
}

// row is a line as people read it.
type row struct {
	Item, For   string
	MemoryHours string
	Quantity    string
	Unit        string
	Per1000     *MicroUSD // price of 1,000 units; nil for none
	Amount      MicroUSD
	Sum         bool // set apart

	none   bool  // nothing was used
	events int64 // rows of the book that it follows from
	sha256 string
}

// rows gives all lines, the total last.
func (d *Document) rows() []row {
	var all []row
	for _, l := range d.Lines {
		all = append(all, present(d.pair("usage", l.Bucket, l.Charge, &d.Plan))...)
	}
	all = append(all, d.pair("usage, sum", "all buckets", d.Usage, nil)...)
	all = append(all, d.pair("free allowance", "all buckets", d.Allowance, nil)...)
	all = append(all, row{Item: "flat fee", For: d.Month.String(), Amount: d.FlatFee})
	for _, a := range d.Adjustments {
		for _, r := range present(d.pair("adjustment, late events", a.Month.String(), a.Charge, nil)) {
			r.events, r.sha256 = a.Events, a.SHA256
			all = append(all, r)
		}
	}
	all = append(all, row{Item: "total", For: d.Month.String(), Amount: d.Total, Sum: true})
	for i := range all {
		if all[i].sha256 == "" {
			all[i].events, all[i].sha256 = d.Events, d.SHA256
		}
	}
	return all
}

// pair gives the two lines of a charge; p, where there is one, the unit prices.
func (d *Document) pair(item, what string, c Charge, p *Plan) []row {
	memory := row{Item: item, For: what, MemoryHours: c.MemoryHours, Quantity: c.MemoryMonths, Unit: "memory-months", Amount: c.MemoryAmount}
	retrievals := row{Item: item, For: what, Quantity: strconv.FormatInt(c.Retrievals, 10), Unit: "retrievals", Amount: c.RetrievalsAmount}
	memory.none = c.Memory.big().Sign() == 0 && c.MemoryAmount == 0
	retrievals.none = c.Retrievals == 0 && c.RetrievalsAmount == 0
	if p != nil {
		memory.Per1000, retrievals.Per1000 = &p.MemoryMonths, &p.Retrievals
	}
	return []row{memory, retrievals}
}

func present(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.none })
}

// terms says the plan in a sentence.
func (d *Document) terms() string {
	p := d.Plan
	return fmt.Sprintf("Plan %s: %s USD per 1,000 memory-months, %s USD per 1,000 retrievals; free in a month: %d memory-months, %d retrievals; flat fee %s USD.",
		p.Name, p.MemoryMonths, p.Retrievals, p.FreeMemoryMonths, p.FreeRetrievals, p.FlatFee)
}

// standing says whether the document can change.
func (d *Document) standing() string {
	if d.ClosedAt != nil {
		return "Closed at " + moment(*d.ClosedAt) + "; it never changes again."
	}
	return "Draft. The month can be closed from " + moment(d.Closes) + " on."
}

// basis says what the document was computed from.
func (d *Document) basis() string {
	return fmt.Sprintf("Computed from %d memory events taken in by %s; SHA-256 of their rows: %s", d.Events, moment(d.Watermark), d.SHA256)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// csv gives a table in which each line says all that it is about. Amounts are
// whole millionths of a dollar.
func (d *Document) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := d.rows()
	lines := append(make([][]string, 0, 2+len(rows)), []string{
		"tenant", "month", "state", "plan", "item", "for", "memory_hours", "quantity", "unit", "micro_usd_per_1000", "micro_usd",
		"watermark", "events", "events_sha256",
	})
	for _, r := range rows {
		per := ""
		if r.Per1000 != nil {
			per = strconv.FormatInt(int64(*r.Per1000), 10)
		}
		lines = append(lines, []string{
			cell(d.Tenant), d.Month.String(), string(d.State), cell(d.Plan.Name), r.Item, cell(r.For), r.MemoryHours, r.Quantity, r.Unit, per,
			strconv.FormatInt(int64(r.Amount), 10), moment(d.Watermark), strconv.FormatInt(r.events, 10), r.sha256,
		})
	}
	note := make([]string, len(lines[0]))
	copy(note, []string{cell(d.Tenant), d.Month.String(), string(d.State), cell(d.Plan.Name), "note", d.Inference})
	err := w.WriteAll(append(lines, note))
	return b.Bytes(), err
}

// cell keeps a spreadsheet from taking a name for a formula (OWASP, CSV
// injection): an apostrophe makes it a text.
func cell(s string) string {
	s = printable(s)
	if strings.ContainsAny(s[:min(1, len(s))], "=+-@") {
		return "'" + s
	}
	return s
}
