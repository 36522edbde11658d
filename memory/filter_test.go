package memory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFiltersChoose: each parameter of a deletion chooses what it names, several
// choose what all of them name, and nothing else is deleted.
func TestFiltersChoose(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 5, d, 0, 0, 0, 0, time.UTC) }
	all := []Memory{
		{Content: "a", Role: "user", Speaker: "Ada", Session: "s1", ObservedAt: day(1), Metadata: []byte(`{"team":"red","n":7,"a.b":"x"}`)},
		{Content: "b", Role: "assistant", Speaker: "Bob", Session: "s2", ObservedAt: day(2), Metadata: []byte(`{"team":"blue"}`)},
		{Content: "c", ObservedAt: day(3)},
	}
	for want, filters := range map[string][]Filter{
		"a":     {{Session: "s1"}, {Speaker: "Ada"}, {Role: "user"}, {Before: day(2)}, {Metadata: map[string]string{"team": "red"}}, {Metadata: map[string]string{"n": "7"}}, {Metadata: map[string]string{"a.b": "x"}}},
		"b":     {{Session: "s2", Role: "assistant"}, {After: day(2), Before: day(3)}, {Metadata: map[string]string{"team": "blue"}, Speaker: "Bob"}},
		"b c":   {{After: day(2)}},
		"":      {{Session: "s1", Speaker: "Bob"}, {Speaker: "ada"}, {Role: "us%"}, {Metadata: map[string]string{"team": "red", "n": "8"}}, {Metadata: map[string]string{"color": ""}}, {Before: day(1)}},
		"a b c": {{}},
	} {
		for _, f := range filters {
			b := newBed(t)
			who := &Caller{Tenant: "acme"}
			if _, err := b.Store(t.Context(), who, &Write{Bucket: "default", Memories: slices.Clone(all)}); err != nil {
				t.Fatal(err)
			}
			chosen := strings.Fields(want)
			if n, err := b.DeleteAll(t.Context(), who, "default", &f, true); err != nil || n != int64(len(chosen)) {
				t.Errorf("%+v: %d are counted, %v; want %s", f, n, err, want)
			}
			if _, err := b.DeleteAll(t.Context(), who, "default", &f, false); err != nil {
				t.Fatal(err)
			}
			left, _, err := b.List(t.Context(), "acme", "default", 9, 0)
			if err != nil {
				t.Fatal(err)
			}
			gone := []string{"a", "b", "c"}
			for i := range left {
				gone = slices.DeleteFunc(gone, func(s string) bool { return s == left[i].Content })
			}
			if fmt.Sprint(gone) != fmt.Sprint(chosen) {
				t.Errorf("%+v: %v are gone, want %v", f, gone, chosen)
			}
		}
	}
}
