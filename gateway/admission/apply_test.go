package admission

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// TestApplyReplacesEverySetting: nothing that Apply takes stays what it was.
func TestApplyReplacesEverySetting(t *testing.T) {
	l := newLimiter(t)
	next := Settings{
		MaxInFlight: 7, QueueTime: time.Minute, Token: directory.Limits{Streams: 1}, Tenant: directory.Limits{Streams: 2},
		Runaway: Runaway{TokensPerMinute: 1, Factor: 2, Least: 3, Alarm: func(Spree) {}},
	}
	checkSet(t, "Settings", reflect.ValueOf(next))
	l.Apply(next)
	now := l.Settings()
	next.Runaway.Alarm, now.Runaway.Alarm = nil, nil
	if !reflect.DeepEqual(now, next) {
		t.Errorf("%+v, want %+v", now, next)
	}
}

// checkSet fails for a field that a test has forgotten to set.
func checkSet(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	for field, value := range v.Fields() {
		if value.IsZero() {
			t.Errorf("%s.%s is not set", path, field.Name)
		}
	}
}

// TestPlacesAreResized: more places let in those that wait, at once; fewer take
// nobody's, and keep others out until enough have left.
func TestPlacesAreResized(t *testing.T) {
	l := newLimiter(t, func(o *Options) { o.MaxInFlight, o.QueueTime = 2, time.Minute })
	enter := func(i int) (*Pass, *Refusal) {
		p := &Pass{}
		why := l.Enter(p, caller(fmt.Sprint("t", i), fmt.Sprint("t", i), directory.Limits{}, directory.Limits{}), noon)
		return p, why
	}
	passes := make(chan *Pass, 8)
	for i := range 6 {
		go func() {
			p, why := enter(i)
			if why != nil {
				t.Errorf("%d: %+v", i, why)
			}
			passes <- p
		}()
	}
	for end := time.Now().Add(30 * time.Second); l.slots.waiting.Load() < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wait", l.slots.waiting.Load())
		}
	}
	s := l.Settings()
	s.MaxInFlight = 6
	l.Apply(s)
	held := make([]*Pass, 0, 6)
	for range 6 {
		select {
		case p := <-passes:
			held = append(held, p)
		case <-time.After(30 * time.Second):
			t.Fatal("requests wait where there is room")
		}
	}
	s.MaxInFlight, s.QueueTime = 2, 0
	l.Apply(s)
	for i, p := range held {
		if _, why := enter(100 + i); why == nil || why.Scope != ScopeGateway {
			t.Errorf("with %d in flight and room for 2: %+v", len(held)-i, why)
		}
		if p.Leave(0, noon); len(held)-i-1 < 2 {
			break
		}
	}
	if _, why := enter(200); why != nil {
		t.Errorf("enough have left: %+v", why)
	}
}
