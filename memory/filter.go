package memory

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

// maxFilterMembers is how many members of the metadata a filter may name: each is
// a part of a statement, which SQLite bounds as a whole.
const maxFilterMembers = 16

// check says what is wrong with a filter, before anything is written down that
// could never be carried out.
func (f *Filter) check() error {
	if len(f.Metadata) > maxFilterMembers {
		return &InvalidError{"metadata", "must not be more than " + strconv.Itoa(maxFilterMembers) + " members"}
	}
	for name, value := range f.Metadata {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return &InvalidError{"metadata", "must be names and values in valid UTF-8"}
		}
	}
	for field, value := range map[string]string{"session": f.Session, "speaker": f.Speaker, "role": f.Role} {
		if !utf8.ValidString(value) {
			return &InvalidError{field, "must be valid UTF-8"}
		}
	}
	for field, t := range map[string]time.Time{"before": f.Before, "after": f.After} {
		if !writable(t) {
			return &InvalidError{field, wantedTime}
		}
	}
	return nil
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
		// Without a path, in which some names mean something; and an object that
		// SQLite does not read, of an older version, has no members.
		all.WriteString(" AND CASE WHEN json_valid(m.metadata) THEN EXISTS (SELECT 1 FROM json_each(m.metadata) e WHERE e.key = ? AND CAST(e.value AS TEXT) = ?) END")
		args = append(args, name, value)
	}
	return all.String(), args
}
