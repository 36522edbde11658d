package main

import (
	"io"
	"net/url"
	"time"
)

// RecordsCmd lists what was recorded.
type RecordsCmd struct {
	Tenant string    `placeholder:"ID" help:"One tenant; all when not given."`
	From   time.Time `placeholder:"TIME" help:"Beginning, such as yesterday, 2 hours ago, 2026-11 or 2026-11-23T10:00:00Z. The default is one hour before the end."`
	To     time.Time `placeholder:"TIME" help:"End, not included. The default is now."`
	Book   string    `placeholder:"BOOK" enum:",requests,decrypts,memory_events,unseals,memory,quarantine" default:"" help:"requests, decrypts or memory_events; all three when not given. quarantine: the rows that no store took."`
	// With --book memory and a tenant.
	Watermark string `placeholder:"TIME" help:"Only the memory events that an invoice with this watermark has counted."`
	AdminFlags
}

// Run prints the rows as JSON lines: decrypts, requests, memory events.
func (c *RecordsCmd) Run() error {
	path := recordsPath(c.Tenant, c.From, c.To) + "&book=" + c.Book
	if c.Watermark != "" {
		path += "&watermark=" + url.QueryEscape(c.Watermark)
	}
	return c.stream("GET", path, nil, 0, func(r io.Reader) error {
		_, err := io.Copy(stdout, r)
		return err
	})
}

// recordsPath is the call for a tenant's rows; zero times are left to the
// admin plane.
func recordsPath(tenant string, from, to time.Time) string {
	return "/records?" + timeQuery(url.Values{"tenant": {tenant}}, from, to).Encode()
}

func timeQuery(q url.Values, from, to time.Time) url.Values {
	if !from.IsZero() {
		q.Set("from", from.UTC().Format(time.RFC3339Nano))
	}
	if !to.IsZero() {
		q.Set("to", to.UTC().Format(time.RFC3339Nano))
	}
	return q
}
