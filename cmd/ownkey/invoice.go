package main

import (
	"fmt"
	"net/url"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/meter/invoice"
)

// InvoiceCmd prints an invoice.
type InvoiceCmd struct {
	AdminFlags
	Tenant string `required:"" help:"The tenant's id."`
	Month  string `required:"" placeholder:"YYYY-MM" help:"Calendar month, UTC. One that has been over for 72 hours is closed by this and never changes again."`
	Format string `enum:"text,json,csv,html" default:"text" help:"text, json, csv or html."`
}

// Run prints the answer as it comes: a closed invoice byte for byte.
func (c *InvoiceCmd) Run() error {
	month, err := invoice.ParseMonth(c.Month)
	if err != nil {
		return usageError{fmt.Errorf("--month %s: %w", c.Month, err)}
	}
	format := c.Format
	if c.JSON {
		format = string(invoice.JSON)
	}
	answer, err := c.exchange("GET", "/invoices/"+url.PathEscape(c.Tenant)+"/"+month.String()+"?format="+format, nil)
	if err != nil {
		return err
	}
	_, err = stdout.Write(answer)
	return err
}

// pricePlans gives the tenants' plans, as invoices have them, by the prices that
// count when it is asked.
func pricePlans(now func() *config.Config) func(tenant string) invoice.Plan {
	return func(tenant string) invoice.Plan {
		name, p := now().Billing.PlanOf(tenant)
		return invoice.Plan{
			Name: name, MemoryMonths: invoice.MicroUSD(p.MemoryMonths), Retrievals: invoice.MicroUSD(p.Retrievals),
			FreeMemoryMonths: p.FreeMemoryMonths, FreeRetrievals: p.FreeRetrievals, FlatFee: invoice.MicroUSD(p.FlatFee),
		}
	}
}
