package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// Export is what a provider's own usage export says, in its own terms.
type Export struct {
	Provider string
	Rows     []Row
	// From and To are the days that the export covers.
	From, To time.Time
	// ByModel and ByKey: it was asked for by model, by key.
	ByModel, ByKey bool
	// Requests: it counts requests. Anthropic's does not.
	Requests bool
}

// Row is a day of a model and a key, as far as the export tells them apart.
type Row struct {
	Day    time.Time
	Model  string
	Key    string // the provider's id of an API key; our credential's id in rows of ours
	Counts Counts
}

// Counts are the sums that are compared. Input is with what came from the
// provider's cache at OpenAI, and without it at Anthropic, in exports as in
// answers: both sides of a comparison have the provider's own meaning.
type Counts struct {
	Requests         int64 `json:"requests"`
	InputTokens      int64 `json:"input_tokens"`
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens"`
	OutputTokens     int64 `json:"output_tokens"`
}

func (c *Counts) add(o Counts) {
	c.Requests = meter.Add(c.Requests, o.Requests)
	c.InputTokens = meter.Add(c.InputTokens, o.InputTokens)
	c.CachedTokens = meter.Add(c.CachedTokens, o.CachedTokens)
	c.CacheWriteTokens = meter.Add(c.CacheWriteTokens, o.CacheWriteTokens)
	c.OutputTokens = meter.Add(c.OutputTokens, o.OutputTokens)
}

// maxCount is far more than anybody uses in a day, and so small that counts can
// be added up.
const maxCount = 1 << 53

// sound reports whether these can be counts of a day.
func (c Counts) sound() bool {
	for _, n := range [...]int64{c.Requests, c.InputTokens, c.CachedTokens, c.CacheWriteTokens, c.OutputTokens} {
		if n < 0 || n > maxCount {
			return false
		}
	}
	return true
}

// Providers are those whose export can be read.
var Providers = []string{"openai", "anthropic"}

// ErrExport is a file that is not a provider's usage export; the error says
// where.
var ErrExport = errors.New("not a usage export")

func wrong(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrExport, fmt.Sprintf(format, a...))
}

func wrongCount(bucket, result int) error {
	return wrong("data[%d].results[%d] has a count that is negative or beyond 2^53", bucket, result)
}

// Read reads an export: one page of the provider's answer, a list of pages, or
// pages one after the other.
func Read(provider string, r io.Reader) (*Export, error) {
	add := map[string]func(*Export, int, []byte) error{"openai": openAIBucket, "anthropic": anthropicBucket}[provider]
	if add == nil {
		return nil, fmt.Errorf("provider %q has no export that can be read; want openai or anthropic", provider)
	}
	buckets, err := pages(r)
	if err != nil {
		return nil, err
	}
	e := &Export{Provider: provider, Requests: provider == "openai"}
	for i, b := range buckets {
		if err := add(e, i, b); err != nil {
			return nil, err
		}
	}
	if len(buckets) == 0 {
		return nil, wrong("it has no buckets; ask for bucket_width=1d and a start time")
	}
	return e, nil
}

// pages gives the buckets of all pages.
func pages(r io.Reader) (buckets []json.RawMessage, err error) {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return buckets, nil
		} else if err != nil {
			return nil, wrong("page %d at byte %d is no JSON", n, d.InputOffset())
		}
		list := []json.RawMessage{raw}
		if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
			if err := json.Unmarshal(raw, &list); err != nil {
				return nil, wrong("page %d is no list of pages", n)
			}
		}
		for _, p := range list {
			var page struct {
				Data []json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(p, &page); err != nil || page.Data == nil {
				return nil, wrong("page %d has no member data with a list of buckets", n)
			}
			buckets = append(buckets, page.Data...)
		}
	}
}

// cover widens the days that the export covers.
func (e *Export) cover(from, to time.Time) {
	if e.From.IsZero() || from.Before(e.From) {
		e.From = from
	}
	if to.After(e.To) {
		e.To = to
	}
}

func (e *Export) add(day time.Time, model, key *string, c Counts) {
	row := Row{Day: day, Counts: c}
	if model != nil {
		e.ByModel, row.Model = true, *model
	}
	if key != nil {
		e.ByKey, row.Key = true, *key
	}
	e.Rows = append(e.Rows, row)
}

// wholeDay refuses buckets that are no days in UTC.
func wholeDay(bucket int, from, to time.Time) error {
	if to.Sub(from) != 24*time.Hour || !from.Equal(from.Truncate(24*time.Hour)) {
		return wrong("data[%d] is no whole day in UTC; ask for bucket_width=1d", bucket)
	}
	return nil
}

// openAIBucket reads a bucket of GET /v1/organization/usage/completions (OpenAI
// API reference, "Usage: completions", 2026-11).
func openAIBucket(e *Export, n int, raw []byte) error {
	var b struct {
		Start   *int64 `json:"start_time"`
		End     *int64 `json:"end_time"`
		Results []struct {
			Input    *int64  `json:"input_tokens"`
			Output   int64   `json:"output_tokens"`
			Cached   int64   `json:"input_cached_tokens"`
			Requests *int64  `json:"num_model_requests"`
			Model    *string `json:"model"`
			Key      *string `json:"api_key_id"`
		} `json:"results"`
	}
	if err := json.Unmarshal(raw, &b); err != nil || b.Start == nil || b.End == nil {
		return wrong("data[%d] is no bucket with start_time, end_time and results", n)
	}
	from, to := time.Unix(*b.Start, 0).UTC(), time.Unix(*b.End, 0).UTC()
	if err := wholeDay(n, from, to); err != nil {
		return err
	}
	e.cover(from, to)
	for i, r := range b.Results {
		if r.Input == nil || r.Requests == nil {
			return wrong("data[%d].results[%d] has no input_tokens or num_model_requests; is it another usage export than that of completions?", n, i)
		}
		c := Counts{Requests: *r.Requests, InputTokens: *r.Input, CachedTokens: r.Cached, OutputTokens: r.Output}
		if !c.sound() {
			return wrongCount(n, i)
		}
		e.add(from, r.Model, r.Key, c)
	}
	return nil
}

// anthropicBucket reads a bucket of GET /v1/organizations/usage_report/messages
// (Anthropic Admin API reference, "Get Messages Usage Report", 2026-11). It
// counts no requests.
func anthropicBucket(e *Export, n int, raw []byte) error {
	var b struct {
		Start   *time.Time `json:"starting_at"`
		End     *time.Time `json:"ending_at"`
		Results []struct {
			Input    *int64           `json:"uncached_input_tokens"`
			Output   int64            `json:"output_tokens"`
			Cached   int64            `json:"cache_read_input_tokens"`
			Creation map[string]int64 `json:"cache_creation"`
			Model    *string          `json:"model"`
			Key      *string          `json:"api_key_id"`
		} `json:"results"`
	}
	if err := json.Unmarshal(raw, &b); err != nil || b.Start == nil || b.End == nil {
		return wrong("data[%d] is no bucket with starting_at, ending_at and results", n)
	}
	if err := wholeDay(n, b.Start.UTC(), b.End.UTC()); err != nil {
		return err
	}
	e.cover(b.Start.UTC(), b.End.UTC())
	for i, r := range b.Results {
		if r.Input == nil {
			return wrong("data[%d].results[%d] has no uncached_input_tokens", n, i)
		}
		c := Counts{InputTokens: *r.Input, CachedTokens: r.Cached, OutputTokens: r.Output}
		for _, written := range r.Creation {
			if written < 0 || written > maxCount-c.CacheWriteTokens {
				return wrongCount(n, i)
			}
			c.CacheWriteTokens += written
		}
		if !c.sound() {
			return wrongCount(n, i)
		}
		e.add(b.Start.UTC(), r.Model, r.Key, c)
	}
	return nil
}
