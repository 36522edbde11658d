package memory

import (
	"fmt"
	"testing"
)

// TestAskingLeavesNothing: names that are only asked for, and never changed, leave
// no place behind, whatever asks.
func TestAskingLeavesNothing(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	b.find("acme", "default", "bees")
	for i := range 500 {
		if got := b.find("acme", fmt.Sprint("no-such-bucket-", i), "bees"); len(got) != 0 {
			t.Fatalf("%q", got)
		}
	}
	known := 0
	b.buckets.Range(func(bucketKey, *bucket) bool { known++; return true })
	if known != 1 {
		t.Errorf("%d buckets are known, want 1", known)
	}
}
