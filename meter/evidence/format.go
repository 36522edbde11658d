package evidence

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"text/tabwriter"
	"time"
)

// Formats of a report.
const (
	JSON = "json"
	Text = "text"
	HTML = "html"
)

//go:embed evidence.html
var pageSource string

var page = template.Must(template.New("evidence").Funcs(template.FuncMap{"at": at, "name": name}).Parse(pageSource))

func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// name is an organization as people read it.
func name(s string) string {
	if s == "" {
		return "(none named)"
	}
	return s
}

// unseals counts those of all credentials.
func (r *Report) unseals() (n int64) {
	for _, u := range r.Credentials {
		for _, s := range u.Unseals {
			n += s.Unseals
		}
	}
	return n
}

// Verdict says in a sentence what the report found.
func (r *Report) Verdict() string {
	switch {
	case r.Calls == 0:
		return "No call reached a provider in this time."
	case r.Unexpected > 0:
		return fmt.Sprintf("%d of %d calls were made under a name that is not the expected one.", r.Unexpected, r.Calls)
	case r.Unnamed == r.Calls:
		return fmt.Sprintf("The providers have named no organization in any of the %d calls: ask them for their usage export and run ownkey reconcile.", r.Calls)
	case r.Unnamed > 0:
		return fmt.Sprintf("Every name that a provider gave is the expected one; for %d of %d calls the provider has named none.", r.Unnamed, r.Calls)
	}
	return fmt.Sprintf("All %d calls were made under the expected name.", r.Calls)
}

// Write writes the report: JSON, a text for terminals, or one page of HTML that
// needs nothing else.
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case Text:
		return r.text(w)
	case HTML:
		return page.Execute(w, r)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// ContentType is a format's; empty for one that is not known.
func ContentType(format string) string {
	switch format {
	case JSON:
		return "application/json"
	case Text:
		return "text/plain; charset=utf-8"
	case HTML:
		return "text/html; charset=utf-8"
	}
	return ""
}

func (r *Report) text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := func(format string, a ...any) { _, _ = fmt.Fprintf(t, format, a...) } // Flush has the error
	p("Whose name is on the invoice: tenant %s, %s to %s\n\n%s\n\n", r.Tenant, at(r.From), at(r.To), r.Verdict())
	p("PROVIDER\tORGANIZATION, AS THE PROVIDER NAMES IT\tCALLS\tUNEXPECTED\tFIRST\tLAST\n")
	for _, v := range r.Providers {
		for _, o := range v.Organizations {
			p("%s\t%s\t%d\t%d\t%s\t%s\n", v.Provider, name(o.Name), o.Calls, o.Unexpected, at(o.First), at(o.Last))
		}
	}
	p("\nCREDENTIAL\tEXPECTED ORGANIZATION\tRULE\tFINGERPRINT\tKEY VERSION\tCALLS\n")
	for _, u := range r.Credentials {
		for _, c := range u.Calls {
			p("%s/%s %s\t%s\t%s\t%s\t%d\t%d\n", u.Provider, u.Label, u.ID, name(u.Expected), u.Rule, c.Fingerprint, c.KeyVersion, c.Calls)
		}
	}
	p("\nCREDENTIAL\tKEYRING\tUNSEALS\tOF THEM SECOND ASKINGS\tFIRST\tLAST\n")
	for _, u := range r.Credentials {
		for _, n := range u.Unseals {
			p("%s/%s %s\t%s\t%d\t%d\t%s\t%s\n", u.Provider, u.Label, u.ID, n.Keyring, n.Unseals, n.Hedges, at(n.First), at(n.Last))
		}
	}
	if r.unseals() == 0 {
		p("none recorded: a master key file opens credentials without asking anybody\n")
	}
	p("\nA row about a call has %d columns, none of which can hold a text:\n", len(r.Stored))
	for _, c := range r.Stored {
		p("  %s\t%s\n", c.Name, c.Type)
	}
	if r.Platform.None {
		p("\nNo credential of the platform's own: %d settings and %d environment variables were looked at.\n", r.Platform.Settings, r.Platform.Variables)
	} else {
		p("\nThis looks like a credential of the platform's own:\n")
		for _, f := range r.Platform.Found {
			p("  %s\n", f)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("cannot write evidence: %w", err)
	}
	return nil
}
