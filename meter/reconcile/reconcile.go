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
	// that reached a provider and began in [from, to); of all tenants when
	// tenant is empty.
	Daily(ctx context.Context, provider, tenant string, from, to time.Time) ([]Daily, error)
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

// Compare compares an export with our rows of the same days. keys gives our
// credential's id for a provider's id of an API key; keys that it does not know
// stand for themselves. What the export does not tell apart is added up. The day that is
// not over by now is left out: neither side has all of it.
func Compare(e *Export, ours []Daily, keys map[string]string, now time.Time) *Report {
	lines := map[group]*Line{}
	at := func(day time.Time, model, key string) *Line {
		g := group{day.UTC(), model, key}
		if !e.ByModel {
			g.model = ""
		}
		if !e.ByKey {
			g.key = ""
		}
		if lines[g] == nil {
			lines[g] = &Line{Day: g.day, Model: g.model, Key: g.key}
		}
		return lines[g]
	}
	to := e.To
	if today := now.UTC().Truncate(24 * time.Hour); today.Before(to) {
		to = today
	}
	r := &Report{Provider: e.Provider, From: e.From, To: to, Match: true, Lines: []Line{}}
	for _, row := range e.Rows {
		if !row.Day.Before(to) {
			continue
		}
		key := row.Key
		if known, ok := keys[key]; ok {
			key = known
		}
		at(row.Day, row.Model, key).Theirs.add(row.Counts)
		r.Theirs.add(row.Counts)
	}
	for _, d := range ours {
		if d.Day.Before(e.From) || !d.Day.Before(to) {
			continue
		}
		if !e.Requests {
			d.Requests = 0
		}
		line := at(d.Day, d.Model, d.CredentialID)
		line.Ours.add(d.Counts)
		line.UnknownUsage += d.UnknownUsage
		r.Ours.add(d.Counts)
	}
	for _, line := range lines {
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
