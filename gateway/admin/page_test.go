package admin

import (
	"net/url"
	"testing"
)

// TestPageLimits: a page has 1,000 items where nothing else is asked for, and at
// most.
func TestPageLimits(t *testing.T) {
	for query, want := range map[string]int{"": maxPage, "limit=5": 5, "limit=1000": 1000, "limit=0": 0, "limit=-1": 0, "limit=1001": 0, "limit=x": 0} {
		q, _ := url.ParseQuery(query)
		if p, err := pageOf(q); want == 0 && err == nil || want > 0 && (err != nil || p.limit != want) {
			t.Errorf("%q: %+v %v", query, p, err)
		}
	}
}
