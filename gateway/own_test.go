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
	return &ownBed{ownTargets: newOwnTargets(client), now: time.Now()}
}

// call gives the target of a base URL as a call does.
func (b *ownBed) call(tenant, baseURL string) *upstream.Target {
	name := ownName{tenant, ownAddress{baseURL: baseURL}}
	if known := b.find(name, b.now); known != nil {
		return known
	}
	return b.add(name, b.now, func() *upstream.Target {
		b.made++
		base, err := url.Parse(baseURL)
		if err != nil {
			panic(err)
		}
		return b.client.NewTarget(base, nil, nil, upstream.Limits{})
	})
}

// held is how many targets tenants hold, by each way to count them.
func (b *ownBed) held(t *testing.T) int {
	t.Helper()
	listed, named, holders := 0, 0, 0
	for _, all := range b.of {
		listed += len(all.targets)
	}
	for _, shared := range b.shared {
		holders += shared.holders
	}
	b.byName.Range(func(_, _ any) bool { named++; return true })
	if listed != named || holders != named || b.client.Targets() != len(b.shared) {
		t.Fatalf("%d are listed, %d have a name, %d are held; there are %d, and the client has %d", listed, named, holders, len(b.shared), b.client.Targets())
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
	next := newOwnTargets(b.client)
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

// TestTheSameNameOfTwoTenants: they share a target and its connections, and it
// stays as long as either calls it: the one that called it first cannot push it
// out for the other.
func TestTheSameNameOfTwoTenants(t *testing.T) {
	const name = "https://same.example/v1"
	b := newOwnBed(t)
	b.call("greedy", name)
	first := b.call("quiet", name)
	if b.client.Targets() != 1 {
		t.Error("they do not share a target")
	}
	for i := range 300 {
		b.call("greedy", fmt.Sprintf("https://h%d.example/v1", i))
	}
	if b.call("quiet", name) != first {
		t.Error("the other's target is gone")
	}
	b.now = b.now.Add(2 * ownTargetLife)
	b.call("new", "https://new.example/v1")
	if held := b.held(t); held != 1 {
		t.Errorf("%d are held when nobody calls them", held)
	}
}
