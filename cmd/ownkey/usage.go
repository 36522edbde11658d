package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/ownkey/ownkey/meter/usage"
)

// UsageCmd shows what was used.
type UsageCmd struct {
	Tenant string    `placeholder:"ID" help:"One tenant; all when not given."`
	Token  string    `name:"token-id" placeholder:"ID" help:"One token."`
	By     string    `default:"day" enum:"hour,day,model,token,credential,tenant,provider" help:"hour, day, model, token, credential, tenant or provider."`
	From   time.Time `placeholder:"TIME" help:"Beginning, such as yesterday, 2 hours ago, 2026-11 or 2026-11-23T10:00:00Z. The default is 30 days before the end, 24 hours by hour."`
	To     time.Time `placeholder:"TIME" help:"End, not included. The default is now. Whole hours are counted."`
	AdminFlags
}

// usagePage is a page of the answer.
type usagePage struct {
	Tenant string      `json:"tenant,omitempty"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	By     usage.By    `json:"by"`
	Rows   []usage.Row `json:"rows"`
	Next   string      `json:"next,omitempty"`
}

// Run prints a table, or the answer: all pages of it.
func (c *UsageCmd) Run() error {
	query := timeQuery(url.Values{"tenant": {c.Tenant}, "token": {c.Token}, "by": {c.By}}, c.From, c.To)
	var answer usagePage
	var all []usage.Row
	for {
		text, err := c.exchange("GET", "/usage?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		answer = usagePage{}
		if err := json.Unmarshal(text, &answer); err != nil {
			return fmt.Errorf("cannot read the admin plane's answer: %w", err)
		}
		if all = append(all, answer.Rows...); answer.Next == "" {
			break
		}
		query.Set("cursor", answer.Next)
	}
	answer.Rows = append([]usage.Row{}, all...)
	if c.JSON {
		return json.NewEncoder(stdout).Encode(answer)
	}
	printf("%s to %s\n", answer.From.Format(time.RFC3339), answer.To.Format(time.RFC3339))
	rows := make([][]string, 0, len(answer.Rows))
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	for _, r := range answer.Rows {
		key := r.Key
		if key == "" {
			key = "(none)"
		}
		if r.Label != "" {
			key = r.Label + " (" + key + ")"
		}
		if r.Tenant != "" {
			key = r.Tenant + ": " + key
		}
		rows = append(rows, []string{
			key, number(r.Requests), number(r.Refused), number(r.Failed), number(r.Cancelled),
			number(r.InputTokens), number(r.CachedTokens), number(r.OutputTokens), number(r.ReasoningTokens), number(r.UnknownUsage),
			number(r.SavedOutputTokens), ms(r.FirstByte.P50), ms(r.Total.P50), ms(r.Total.P99),
		})
	}
	return table("KEY REQUESTS REFUSED FAILED CANCELLED IN CACHED OUT REASONING UNKNOWN SAVED~ FIRST-P50-MS P50-MS P99-MS", rows)
}
