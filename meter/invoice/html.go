package invoice

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed invoice.html
var pageSource string

var page = template.Must(template.New("invoice").Parse(pageSource))

// html gives one page that needs nothing else, ready to be printed.
func (d *Document) html() ([]byte, error) {
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		*Document
		Rows                   []row
		Terms, Standing, Basis string
	}{d, d.rows(), d.terms(), d.standing(), d.basis()})
	return b.Bytes(), err
}
