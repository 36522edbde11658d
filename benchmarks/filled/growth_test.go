package main

import (
	"strings"
	"testing"
	"time"
)

// growing is work that takes longer on a larger store, and may: as much longer as
// the store is larger. All other work has to take what it took.
var growing = []string{"directory: start", "first search", "search", "usage of all tenants"}

// TestWorkGrowsNoFasterThanItsStore: on stores eight times as large, work that may
// grow takes 24 times as long at most (squares would take 64 times), other work
// five times. One of three tries has to keep to it, as a machine may be busy in one
// of them; what waits for the disk, less than little, is not compared.
func TestWorkGrowsNoFasterThanItsStore(t *testing.T) {
	const small, more, little = 120, 8, 2 * time.Millisecond
	var slow map[string]time.Duration
	for range 3 {
		few, err := at(t.Context(), small)
		if err != nil {
			t.Fatal(err)
		}
		many, err := at(t.Context(), small*more)
		if err != nil {
			t.Fatal(err)
		}
		slow = map[string]time.Duration{}
		for i, f := range few {
			most := 5
			for _, name := range growing {
				if strings.HasPrefix(f.what, name) {
					most = 24
				}
			}
			if took := many[i].took; took > time.Duration(most)*max(f.took, little) {
				slow[f.what] = took
				t.Logf("%s: %v, then %v", f.what, f.took, took)
			}
		}
		if len(slow) == 0 {
			return
		}
	}
	t.Errorf("these grow faster than their store: %v", slow)
}
