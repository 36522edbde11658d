package memory

import (
	"strings"
	"time"
)

// Filter chooses memories of a bucket. All that is set must hold; the zero
// filter chooses all.
type Filter struct {
	Session string
	Speaker string
	Role    string
	Before  time.Time // observed before
	After   time.Time // observed at or after
	// Metadata are members of the metadata, by name, and their values as text.
	Metadata map[string]string

	expired time.Time // over by then
}

// Empty reports whether the filter chooses all.
func (f *Filter) Empty() bool {
	return f.Session == "" && f.Speaker == "" && f.Role == "" && f.Before.IsZero() && f.After.IsZero() && len(f.Metadata) == 0 && f.expired.IsZero()
}

// where is the filter as a condition on memories m.
func (f *Filter) where() (condition string, args []any) {
	var all strings.Builder
	and := func(part string, value any) {
		all.WriteString(" AND " + part)
		args = append(args, value)
	}
	for _, t := range []struct{ column, value string }{{"session", f.Session}, {"speaker", f.Speaker}, {"role", f.Role}} {
		if t.value != "" {
			and("m."+t.column+" = ?", t.value)
		}
	}
	if !f.Before.IsZero() {
		and("m.observed_at < ?", micros(f.Before))
	}
	if !f.After.IsZero() {
		and("m.observed_at >= ?", micros(f.After))
	}
	if !f.expired.IsZero() {
		and("m.expires_at > 0 AND m.expires_at <= ?", micros(f.expired))
	}
	for name, value := range f.Metadata {
		all.WriteString(" AND m.metadata <> '' AND CAST(json_extract(m.metadata, ?) AS TEXT) = ?")
		args = append(args, `$."`+strings.ReplaceAll(name, `"`, ``)+`"`, value)
	}
	return all.String(), args
}
