package main

import (
	"slices"
	"testing"
	"time"
)

// growing is work that takes longer on a larger store, and may: as much longer as
// the store is larger. All other work has to take what it took. The longest of many
// waits grows with the number of waits alone.
var growing = map[string][]string{
	"directory": {"start", "held", "bytes on disk"},
	"bucket":    {"first search, which loads the bucket", "held", "search", "bytes on disk", "delete the bucket", "longest search in another bucket meanwhile"},
	"usage": {
		"usage of all tenants, a page of 1,000, by day", "usage of all tenants, a page of 1,000, by model", "usage of all tenants, a page of 1,000, by token", "bytes on disk",
	},
	"evidence": {"evidence"},
	"invoice":  {"the first invoice, which closes 23 months", "a draft", "bytes on disk"},
	"backlog":  {"bytes on disk", "the ledger is open", "what was spent is known"},
}

// TestWorkGrowsNoFasterThanItsStore: on stores eight times as large, work that may
// grow takes 24 times as much at most (squares would take 64 times), other work
// five times. One of three tries has to keep to it, as a machine may be busy in one
// of them; what waits for the disk, less than little, is not compared.
func TestWorkGrowsNoFasterThanItsStore(t *testing.T) {
	const part, more, little, few = 800, 8, 2 * time.Millisecond, 128 << 10
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			var slow []string
			for range 3 {
				slow = nil
				small, err := s.at(t.Context(), s.most/part)
				if err != nil {
					t.Fatal(err)
				}
				large, err := s.at(t.Context(), s.most/part*more)
				if err != nil {
					t.Fatal(err)
				}
				for i, f := range small {
					most, least := 5.0, float64(little)
					if slices.Contains(growing[s.name], f.what) {
						most = 24
					}
					if f.bytes > 0 {
						least = few
					}
					if large[i].value() > most*max(f.value(), least) {
						slow = append(slow, f.what)
						t.Logf("%s: %s, then %s", f.what, f, large[i])
					}
				}
				if len(slow) == 0 {
					return
				}
			}
			t.Errorf("these grow faster than their store: %q", slow)
		})
	}
}
