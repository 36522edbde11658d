package invoice

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text gives the document for terminals, its columns aligned.
func (d *Document) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Invoice %s, %s (%s)\n\n", printable(d.Tenant), d.Month, d.State)
	rows := d.rows()
	cells := append(make([][]string, 0, 1+len(rows)), []string{"ITEM", "FOR", "MEMORY-HOURS", "QUANTITY", "UNIT", "USD PER 1,000", "USD"})
	for _, r := range rows {
		per := ""
		if r.Per1000 != nil {
			per = r.Per1000.String()
		}
		cells = append(cells, []string{r.Item, printable(r.For), r.MemoryHours, r.Quantity, r.Unit, per, r.Amount.String()})
	}
	align(&b, cells, "llrrlrr")
	fmt.Fprintf(&b, "\n%s\n%s\n%s\n%s\n", printable(d.terms()), d.Inference, d.standing(), d.basis())
	return b.Bytes()
}

// align writes rows in columns; sides has l or r for each.
func align(b *bytes.Buffer, rows [][]string, sides string) {
	widths := make([]int, len(sides))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if sides[i] == 'r' {
				c = space + c
			} else {
				c += space
			}
			line.WriteString(c + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// printable replaces what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
