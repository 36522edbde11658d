package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/ownkey/ownkey/meter/reconcile"
)

// ReconcileCmd compares our counts with a provider's export.
type ReconcileCmd struct {
	Provider string            `required:"" enum:"openai,anthropic" help:"openai or anthropic."`
	Export   string            `required:"" type:"existingfile" placeholder:"FILE" help:"The provider's usage export, by day (docs/reconcile.md says how to get it)."`
	As       string            `placeholder:"NAME" help:"What the provider is called in our configuration, if not openai or anthropic."`
	Tenant   string            `placeholder:"ID" help:"The tenant whose organization the export is of; all when not given."`
	Key      map[string]string `placeholder:"KEY=CREDENTIAL" help:"Our credential's id for the provider's id of an API key. Repeatable."`
	All      bool              `help:"Print the lines that are the same, too."`
	AdminFlags
}

// Run compares, prints, and fails when something is different.
func (c *ReconcileCmd) Run() error {
	file, err := os.Open(c.Export)
	if err != nil {
		return err
	}
	export, err := reconcile.Read(c.Provider, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%s: %w", c.Export, err)
	}
	name := c.As
	if name == "" {
		name = c.Provider
	}
	comparison := reconcile.Begin(export, c.Key, time.Now())
	query := timeQuery(url.Values{"provider": {name}, "tenant": {c.Tenant}, "limit": {"10000"}}, export.From, export.To)
	for more := true; more; {
		answer, err := c.exchange("GET", "/reconcile?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		var ours struct {
			Rows []reconcile.Daily `json:"rows"`
			Next string            `json:"next"`
		}
		if err := json.Unmarshal(answer, &ours); err != nil {
			return fmt.Errorf("cannot read the admin plane's answer: %w", err)
		}
		comparison.Add(ours.Rows)
		query.Set("cursor", ours.Next)
		more = ours.Next != ""
	}
	report := comparison.Close()
	if c.JSON {
		err = json.NewEncoder(stdout).Encode(report)
	} else {
		err = c.print(report)
	}
	if err == nil && !report.Match {
		err = errors.New("our counts and the provider's are different")
	}
	return err
}

func (c *ReconcileCmd) print(r *reconcile.Report) error {
	printf("%s, %s to %s (whole days, UTC); ours/theirs\n", r.Provider, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly))
	pair := func(ours, theirs int64) string { return fmt.Sprintf("%d/%d", ours, theirs) }
	var rows [][]string
	add := func(day, model, key string, o, t reconcile.Counts, unknown int64, verdict string) {
		rows = append(rows, []string{
			day, model, key, pair(o.Requests, t.Requests), pair(o.InputTokens, t.InputTokens), pair(o.CachedTokens, t.CachedTokens),
			pair(o.CacheWriteTokens, t.CacheWriteTokens), pair(o.OutputTokens, t.OutputTokens), fmt.Sprint(unknown), verdict,
		})
	}
	unknown := int64(0)
	for _, l := range r.Lines {
		unknown += l.UnknownUsage
		if c.All || l.Verdict != reconcile.Same {
			add(l.Day.Format(time.DateOnly), l.Model, l.Key, l.Ours, l.Theirs, l.UnknownUsage, l.Verdict)
		}
	}
	verdict := "match"
	if !r.Match {
		verdict = reconcile.Different
	}
	add("total", "", "", r.Ours, r.Theirs, unknown, verdict)
	return table("DAY MODEL KEY REQUESTS INPUT CACHED CACHE-WRITE OUTPUT UNKNOWN VERDICT", rows)
}
