package clickhouse

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestOwner: what a database says of itself, and that the newest claim counts.
func TestOwner(t *testing.T) {
	b := newBed(t).open()
	look := func(of uuid.UUID, owner string, strange bool) {
		t.Helper()
		f, err := b.Look(t.Context(), of)
		if err != nil || f.Owner != owner || f.Strange != strange || f.Made.IsZero() || time.Since(f.Clock).Abs() > time.Minute {
			t.Errorf("%+v %v", f, err)
		}
	}
	look(gateway.Gateway, "", false)
	b.take(batch(0, 10))
	b.flush()
	look(gateway.Gateway, "", false)
	look(uuid.New(), "", true)
	for _, id := range []string{"one", "two", "two", "one"} {
		if err := b.Own(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		look(gateway.Gateway, id, false)
	}
	b.close()
}

// TestClaimsAtOnce: of several that claim a new database at the same moment, one
// has it, and no two believe so for good.
func TestClaimsAtOnce(t *testing.T) {
	b := newBed(t).open()
	var all sync.WaitGroup
	for _, id := range []string{"one", "two", "three", "four"} {
		all.Go(func() {
			var taken *Problem
			if err := b.Own(t.Context(), id); err != nil && !errors.As(err, &taken) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first, _, err := b.owner(t.Context())
	again, _, _ := b.owner(t.Context())
	if err != nil || first == "" || first != again {
		t.Errorf("%q, then %q: %v", first, again, err)
	}
	b.close()
}

// TestUnclaimedServerGetsNothing: a server that could not be reached at the
// start is claimed before it gets the first row.
func TestUnclaimedServerGetsNothing(t *testing.T) {
	b := newBed(t)
	there := b.options.Server.Addresses
	b.options.Server.Addresses = []*url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	var ours atomic.Bool
	b.options.Claim = func(context.Context, *Store) error {
		if !ours.Load() {
			return &Problem{"it is somebody else's"}
		}
		return nil
	}
	b.open().take(batch(0, 100))
	b.close()

	b.options.Server.Addresses = there
	var problem *Problem
	if _, err := Open(t.Context(), b.options); !errors.As(err, &problem) {
		t.Errorf("opened with %v", err)
	}
	// As a server that is reached after the start: the sender finds out.
	claim := b.options.Claim
	first := true
	b.options.Claim = func(ctx context.Context, s *Store) error {
		if first {
			first = false
			return errors.New("cannot reach ClickHouse")
		}
		return claim(ctx, s)
	}
	b.open()
	for end := time.Now().Add(30 * time.Second); b.State().Failures == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was tried")
		}
	}
	b.want("0\t0", "SELECT (SELECT count() FROM $requests), (SELECT count() FROM $batches)")
	if s := b.State(); s.Segments != 1 || s.Rows != 0 {
		t.Errorf("%+v", s)
	}
	b.close() // the pause is long; a restart is what an operator does
	if !strings.Contains(b.log.String(), "somebody else's") {
		t.Errorf("%s", b.log)
	}
	ours.Store(true)
	b.open().flush()
	b.want("100", "SELECT count() FROM $requests")
	b.close()
}
