package gateway

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/upstream"
)

// ownBed is a table's targets, with a clock.
type ownBed struct {
	*ownTargets
	now  time.Time
	made int
}

func newOwnBed(t *testing.T) *ownBed {
	client := upstream.NewClient()
	t.Cleanup(client.Close)
	return &ownBed{ownTargets: &ownTargets{client: client, of: map[string][]*ownTarget{}}, now: time.Now()}
}

// call gives the target of a base URL as a call does.
func (b *ownBed) call(tenant, baseURL string) *upstream.Target {
	name := ownAddress{baseURL: baseURL}
	if known := b.find(name, b.now); known != nil {
		return known
	}
	return b.add(tenant, name, b.now, func() *upstream.Target {
		b.made++
		base, err := url.Parse(baseURL)
		if err != nil {
			panic(err)
		}
		return b.client.NewTarget(base, nil, nil, upstream.Limits{})
	})
}

// held is how many targets there are, by each way to count them.
func (b *ownBed) held(t *testing.T) int {
	t.Helper()
	listed, named := 0, 0
	for _, all := range b.of {
		listed += len(all)
	}
	b.byName.Range(func(_, _ any) bool { named++; return true })
	if listed != named || b.client.Targets() != named {
		t.Fatalf("%d are listed, %d have a name, the client holds %d", listed, named, b.client.Targets())
	}
	return named
}

// TestEndlessNamesOfOneTenant: a tenant that calls thousands of base URLs holds
// as many targets as one may, keeps those that it calls all the time, and another
// tenant keeps its own, which it calls now and then.
func TestEndlessNamesOfOneTenant(t *testing.T) {
	b := newOwnBed(t)
	quiet, steady := b.call("quiet", "https://quiet.example/v1"), b.call("greedy", "https://steady.example/v1")
	for i := range 5000 {
		b.call("greedy", fmt.Sprintf("https://h%d.example/v1", i))
		b.now = b.now.Add(10 * time.Millisecond)
		if i%100 == 0 && b.call("greedy", "https://steady.example/v1") != steady {
			t.Fatalf("a target in use is gone after %d others", i)
		}
		if i%1000 == 0 && b.call("quiet", "https://quiet.example/v1") != quiet {
			t.Fatalf("another tenant's target is gone after %d", i)
		}
		if held := b.held(t); held > 128+1 {
			t.Fatalf("%d targets are held", held)
		}
	}
	if b.made != 5002 {
		t.Errorf("%d were made", b.made)
	}
}

// TestUnusedTargetsGo, whoever's they are, when another one is made after a
// while.
func TestUnusedTargetsGo(t *testing.T) {
	b := newOwnBed(t)
	for i := range 1000 {
		b.call(fmt.Sprint("t", i), fmt.Sprintf("https://h%d.example/v1", i))
	}
	kept := b.call("t7", "https://h7.example/v1")
	for round := range 4 {
		b.now = b.now.Add(ownTargetLife)
		if b.call("t7", "https://h7.example/v1") != kept {
			t.Fatalf("a target in use is gone in round %d", round)
		}
		b.call("new", fmt.Sprintf("https://new%d.example/v1", round))
	}
	if held := b.held(t); held > 4 || len(b.of) > 2 {
		t.Errorf("%d targets of %d tenants are held", held, len(b.of))
	}
}

// TestOwnTargetsAtOnce: calls that come at the same time, while another table
// takes over, leave nothing behind that nobody knows.
func TestOwnTargetsAtOnce(t *testing.T) {
	b := newOwnBed(t)
	next := &ownTargets{client: b.client, of: map[string][]*ownTarget{}}
	var calls sync.WaitGroup
	for c := range 4 {
		calls.Go(func() {
			mine := ownBed{ownTargets: b.ownTargets, now: b.now}
			for i := range 400 {
				mine.call(fmt.Sprint("t", c%2), fmt.Sprintf("https://h%d.example/v1", i))
			}
		})
	}
	b.handOver(next, func(*upstream.Target) bool { return true })
	calls.Wait()
	after := &ownBed{ownTargets: next}
	if held := after.held(t); held > 2*128 {
		t.Errorf("%d are held", held)
	}
}
