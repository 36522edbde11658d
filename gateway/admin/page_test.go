package admin

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
)

// TestPages: following next gives every item once, whatever the page's size,
// also when items come and go meanwhile.
func TestPages(t *testing.T) {
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprintf("t-%02d", i))
	}
	id := func(s string) string { return s }
	for _, limit := range []int{1, 7, 24, 25, 26, maxPage} {
		var got []string
		for cursor := ""; ; {
			items, next := cut(page{limit, cursor}, all, id)
			got = append(got, items...)
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("pages of %d: %v", limit, got)
		}
	}
	first, next := cut(page{10, ""}, all, id)
	without := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == next })
	if rest, _ := cut(page{maxPage, next}, without, id); len(first)+len(rest) != 25 || rest[0] != "t-10" {
		t.Errorf("after the item that the cursor names is gone: %v", rest)
	}
	if items, next := cut(page{10, "zzz"}, all, id); len(items) != 0 || next != "" {
		t.Errorf("behind the end: %v %q", items, next)
	}
	for query, want := range map[string]int{"": maxPage, "limit=5": 5, "limit=0": 0, "limit=-1": 0, "limit=1001": 0, "limit=x": 0} {
		q, _ := url.ParseQuery(query)
		if p, err := pageOf(q); want == 0 && err == nil || want > 0 && (err != nil || p.limit != want) {
			t.Errorf("%q: %+v %v", query, p, err)
		}
	}
}
