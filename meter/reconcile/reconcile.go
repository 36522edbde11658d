// Package reconcile compares what we have counted with a provider's own usage
// export, by day, model and key. The tenant pays the provider's numbers; this
// shows that ours are the same, or where they are not.
package reconcile

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Store has the records.
type Store interface {
	// Daily gives a row for each day (UTC), model and credential of the calls
	// that a question is about, in this order: a page of them.
	Daily(ctx context.Context, q Question) ([]Daily, error)
}

// Question is about the calls that reached a provider and began in [From, To).
type Question struct {
	Provider string
	Tenant   string // all tenants when empty
	From, To time.Time
	// After is the last row of the page before; nil for the first page.
	After *Place
	// Limit is how many rows a page has at most.
	Limit int
}

// Place is what rows are ordered by.
type Place struct {
	Day          time.Time
	Model        string
	CredentialID string
}

// Compare orders places.
func (p Place) Compare(o Place) int {
	return cmp.Or(p.Day.Compare(o.Day), cmp.Compare(p.Model, o.Model), cmp.Compare(p.CredentialID, o.CredentialID))
}

// Begin is where the page's rows are looked for: not before From.
func (q *Question) Begin() time.Time {
	if q.After != nil && q.After.Day.After(q.From) {
		return q.After.Day
	}
	return q.From
}

// Daily is what we have counted.
type Daily struct {
	Day          time.Time `json:"day"`
	Model        string    `json:"model"`
	CredentialID string    `json:"credential"`
	Counts
	// UnknownUsage counts calls that reached the provider and whose tokens it
	// has not told us, or not to the end: cancelled, cut, refused by it.
	UnknownUsage int64 `json:"unknown_usage"`
}

// Line compares one day of a model and a key.
type Line struct {
	Day    time.Time `json:"day"`
	Model  string    `json:"model,omitempty"`
	Key    string    `json:"key,omitempty"`
	Ours   Counts    `json:"ours"`
	Theirs Counts    `json:"theirs"`
	// UnknownUsage is ours: calls whose tokens the provider may have counted
	// and has not told us.
	UnknownUsage int64 `json:"unknown_usage"`
	// Verdict is same, explained or different.
	Verdict string `json:"verdict"`
}

// Verdicts of a line.
const (
	// Same: every number is.
	Same = "same"
	// Explained: the provider has more tokens, or more or fewer requests within
	// the calls whose usage is unknown to us.
	Explained = "explained by unknown usage"
	// Different: anything else.
	Different = "different"
)

// Report is the comparison of a time.
type Report struct {
	Provider string    `json:"provider"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	// Match: no line is different.
	Match  bool   `json:"match"`
	Ours   Counts `json:"ours"`
	Theirs Counts `json:"theirs"`
	Lines  []Line `json:"lines"`
}

// group is what rows are compared by.
type group struct {
	day        time.Time
	model, key string
}

// Comparison is a report in the making.
type Comparison struct {
	export *Export
	lines  map[group]*Line
	report Report
}

// Begin begins a comparison with an export. keys gives our credential's id for a
// provider's id of an API key; keys that it does not know stand for themselves.
// What the export does not tell apart is added up. The day that is not over by
// now is left out: neither side has all of it.
func Begin(e *Export, keys map[string]string, now time.Time) *Comparison {
	to := e.To
	if today := now.UTC().Truncate(24 * time.Hour); today.Before(to) {
		to = today
	}
	c := &Comparison{export: e, lines: map[group]*Line{}, report: Report{Provider: e.Provider, From: e.From, To: to, Match: true, Lines: []Line{}}}
	for _, row := range e.Rows {
		if !row.Day.Before(to) {
			continue
		}
		key := row.Key
		if known, ok := keys[key]; ok {
			key = known
		}
		c.at(row.Day, row.Model, key).Theirs.add(row.Counts)
		c.report.Theirs.add(row.Counts)
	}
	return c
}

func (c *Comparison) at(day time.Time, model, key string) *Line {
	g := group{day.UTC(), model, key}
	if !c.export.ByModel {
		g.model = ""
	}
	if !c.export.ByKey {
		g.key = ""
	}
	if c.lines[g] == nil {
		c.lines[g] = &Line{Day: g.day, Model: g.model, Key: g.key}
	}
	return c.lines[g]
}

// Add adds rows of ours.
func (c *Comparison) Add(ours []Daily) {
	for _, d := range ours {
		if d.Day.Before(c.report.From) || !d.Day.Before(c.report.To) {
			continue
		}
		if !c.export.Requests {
			d.Requests = 0
		}
		line := c.at(d.Day, d.Model, d.CredentialID)
		line.Ours.add(d.Counts)
		line.UnknownUsage += d.UnknownUsage
		c.report.Ours.add(d.Counts)
	}
}

// Close compares.
func (c *Comparison) Close() *Report {
	r := &c.report
	for _, line := range c.lines {
		line.Verdict = line.judge()
		r.Match = r.Match && line.Verdict != Different
		r.Lines = append(r.Lines, *line)
	}
	slices.SortFunc(r.Lines, func(a, b Line) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Key, b.Key))
	})
	return r
}

func (l *Line) judge() string {
	if l.Ours == l.Theirs {
		return Same
	}
	o, t := l.Ours, l.Theirs
	more := t.InputTokens >= o.InputTokens && t.CachedTokens >= o.CachedTokens && t.CacheWriteTokens >= o.CacheWriteTokens && t.OutputTokens >= o.OutputTokens
	// A call that the provider refused is one of ours and none of its.
	requests := t.Requests <= o.Requests && o.Requests-t.Requests <= l.UnknownUsage
	if l.UnknownUsage > 0 && more && requests {
		return Explained
	}
	return Different
}
