package main

import (
	"net/url"
	"os"
	"time"

	"github.com/ownkey/ownkey/meter/evidence"
)

// EvidenceCmd shows whose name is on the provider's invoice.
type EvidenceCmd struct {
	Tenant string    `required:"" placeholder:"ID" help:"The tenant's id."`
	From   time.Time `placeholder:"TIME" help:"Beginning, such as yesterday, 2 hours ago, 2026-11 or 2026-11-23T10:00:00Z. The default is 30 days before the end."`
	To     time.Time `placeholder:"TIME" help:"End, not included. The default is now."`
	Format string    `default:"text" enum:"text,json,html" help:"text, json or html (one page, to print)."`
	AdminFlags
}

// Run prints the report as the admin plane makes it.
func (c *EvidenceCmd) Run() error {
	format := c.Format
	if c.JSON {
		format = evidence.JSON
	}
	query := timeQuery(url.Values{"format": {format}}, c.From, c.To)
	answer, err := c.exchange("GET", "/evidence/"+url.PathEscape(c.Tenant)+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	_, err = stdout.Write(answer)
	return err
}

// platformCredentials looks through the configuration and the environment of
// this process for a provider's credential. The one of dev's command line is a
// tenant's: it is sealed.
func (a *app) platformCredentials() evidence.Scan {
	return evidence.Look(os.Environ(), a.now().Values)
}
