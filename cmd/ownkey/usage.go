package main

import (
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

// Run prints a table, or the answer.
func (c *UsageCmd) Run() error {
	query := timeQuery(url.Values{"tenant": {c.Tenant}, "token": {c.Token}, "by": {c.By}}, c.From, c.To)
	var answer struct {
		From time.Time   `json:"from"`
		To   time.Time   `json:"to"`
		Rows []usage.Row `json:"rows"`
	}
	if printed, err := c.call("GET", "/usage?"+query.Encode(), nil, &answer); printed || err != nil {
		return err
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
		rows = append(rows, []string{
			key, number(r.Requests), number(r.Refused), number(r.Failed), number(r.Cancelled),
			number(r.InputTokens), number(r.CachedTokens), number(r.OutputTokens), number(r.ReasoningTokens), number(r.UnknownUsage),
			number(r.SavedOutputTokens), ms(r.FirstByte.P50), ms(r.Total.P50), ms(r.Total.P99),
		})
	}
	return table("KEY REQUESTS REFUSED FAILED CANCELLED IN CACHED OUT REASONING UNKNOWN SAVED~ FIRST-P50-MS P50-MS P99-MS", rows)
}
