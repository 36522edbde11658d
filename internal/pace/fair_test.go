package pace

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// TestTurnsGoByName: one that asks once is not behind all that another has asked
// before it.
func TestTurnsGoByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Fair
		var got []string
		var all sync.WaitGroup
		ask := func(name string) {
			all.Go(func() {
				f.Lock(name)
				got = append(got, name)
				f.Unlock()
			})
			synctest.Wait()
		}
		f.Lock("a")
		for range 4 {
			ask("a")
		}
		ask("b")
		ask("c")
		ask("b")
		f.Unlock()
		all.Wait()
		if want := []string{"a", "b", "c", "a", "b", "a", "a"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if f.held || len(f.waits) > 0 || len(f.order) > 0 {
			t.Errorf("%+v is left", &f)
		}
	})
}

// TestOneHasIt: however many ask, one has it at a time.
func TestOneHasIt(t *testing.T) {
	var f Fair
	var all sync.WaitGroup
	n := 0
	for i := range 50 {
		all.Go(func() {
			for range 100 {
				f.Lock(fmt.Sprint(i % 7))
				n++
				f.Unlock()
			}
		})
	}
	all.Wait()
	if n != 5000 {
		t.Errorf("%d, want 5000", n)
	}
}
