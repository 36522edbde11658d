package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/wire"
)

// oddFilters are filters of deletions that SQLite does not take, whatever is
// said of them in JSON, and the metadata that they are about.
func oddFilters() map[string]Filter {
	many := map[string]string{}
	for i := range 1200 {
		many[fmt.Sprint("name-", i)] = "x"
	}
	edge := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("west", -12*3600))
	return map[string]Filter{
		"NUL as a name":        {Metadata: map[string]string{"\x00": "x"}},
		"NUL in a name":        {Metadata: map[string]string{"a\x00b": "x"}},
		"a backslash":          {Metadata: map[string]string{`a\`: "x"}},
		"a quote":              {Metadata: map[string]string{`a"b`: "x"}},
		"brackets":             {Metadata: map[string]string{`a"[0].b`: "x"}},
		"what is nested":       {Metadata: map[string]string{"a": "x"}},
		"many members":         {Metadata: many},
		"no UTF-8 in a name":   {Metadata: map[string]string{"\xff": "x"}},
		"no UTF-8 in a value":  {Metadata: map[string]string{"a": "\xff"}},
		"no UTF-8 in a field":  {Session: "\xff"},
		"a year of five signs": {Before: edge.UTC()},
	}
}

// TestADeletionThatCannotBeDoneHoldsNobodyUp: whatever a filter says, the bucket
// can be read and written afterwards, and what is due for other tenants is done.
func TestADeletionThatCannotBeDoneHoldsNobodyUp(t *testing.T) {
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	for name, f := range oddFilters() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			nested := strings.Repeat(`{"a":`, 1500) + "1" + strings.Repeat("}", 1500)
			_, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "bees", Metadata: json.RawMessage(nested)}}})
			if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) {
				t.Fatalf("metadata of 1,500 levels: %v", err)
			}
			b.store("acme", "default", "bees")
			b.store("rival", "default", "boats")
			b.mu.Lock()
			b.dead["rival"] = true
			b.mu.Unlock()
			_, dry := b.DeleteAll(ctx, who, "default", &f, true)
			_, err = b.DeleteAll(ctx, who, "default", &f, false)
			invalid := (*InvalidError)(nil)
			if err != nil && !errors.As(err, &invalid) || (err == nil) != (dry == nil) {
				t.Errorf("%v, only counted: %v", err, dry)
			}
			if err := b.sweep(ctx); err != nil {
				t.Errorf("what is due: %v", err)
			}
			if h, err := b.Holdings(ctx, "rival"); err != nil || h.Memories != 0 {
				t.Errorf("a tenant that is no more has %+v, %v", h, err)
			}
			b.store("acme", "default", "more bees")
			if got := b.find("acme", "default", "bees"); len(got) != 2 {
				t.Errorf("found %q", got)
			}
		})
	}
}

// TestWhatFailsForOneTenantIsDoneForOthers: a deletion that was written down and
// cannot be carried out, as by an older version, is in no other's way.
func TestWhatFailsForOneTenantIsDoneForOthers(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	b.store("acme", "default", "bees")
	b.store("rival", "default", "boats")
	id, err := b.bucketID(ctx, "acme", "default")
	if err != nil {
		t.Fatal(err)
	}
	f := Filter{Metadata: map[string]string{}}
	for i := range 1200 {
		f.Metadata[fmt.Sprint("name-", i)] = "x"
	}
	b.deleting.add(&deletion{id: 1, who: Caller{Tenant: "acme"}, bucket: bucketKey{"acme", "default"}, bucketID: id, at: time.Now(), upto: 9, filter: f}, false)
	b.mu.Lock()
	b.dead["rival"] = true
	b.mu.Unlock()
	if err := b.sweep(ctx); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("the filter can be carried out: %v", err)
	}
	if h, err := b.Holdings(ctx, "rival"); err != nil || h.Memories != 0 {
		t.Errorf("a tenant that is no more has %+v, %v", h, err)
	}
	b.mu.Lock()
	b.trouble = nil // of sweeps of the keeper's own
	b.mu.Unlock()
}

// TestDeletionsOfABucketAreBounded: beyond so many at once, one is refused.
func TestDeletionsOfABucketAreBounded(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	b.store("acme", "default", "bees")
	b.store("acme", "other", "bees")
	for i := range maxDeletions {
		b.deleting.add(&deletion{id: int64(i), bucket: bucketKey{"acme", "default"}}, true)
	}
	if _, err := b.DeleteAll(ctx, who, "default", &Filter{Session: "s"}, false); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if _, err := b.DeleteAll(ctx, who, "other", &Filter{Session: "s"}, false); err != nil {
		t.Errorf("of another bucket: %v", err)
	}
}

// TestTimesThatCannotBeWritten: a time that JSON has no form for is refused where
// it comes in, and what is there can be read.
func TestTimesThatCannotBeWritten(t *testing.T) {
	b := newBed(t)
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("west", -12*3600))
	early := time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 12*3600))
	id := b.store("acme", "default", "bees")[0].ID
	for _, at := range []time.Time{late, early} {
		for field, m := range map[string]Memory{
			"created_at": {CreatedAt: at}, "observed_at": {ObservedAt: at}, "valid_from": {ValidFrom: at}, "valid_to": {ValidTo: at}, "expires_at": {ExpiresAt: at},
		} {
			m.Content = "boats"
			_, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{m}})
			if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("%s %v: %v", field, at, err)
			}
		}
		_, err := b.Update(ctx, who, "default", id, &Change{ValidFrom: &at})
		if invalid := (*InvalidError)(nil); !errors.As(err, &invalid) {
			t.Errorf("changed to %v: %v", at, err)
		}
	}
	for _, at := range []time.Time{late.UTC().Add(-24 * time.Hour), early.UTC().Add(24 * time.Hour)} {
		if _, err := b.Store(ctx, who, &Write{Bucket: "default", Memories: []Memory{{Content: "boats", ObservedAt: at}}}); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
	page, _, err := b.List(ctx, "acme", "default", 9, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range page {
		if _, err := json.Marshal(page[i].ObservedAt); err != nil {
			t.Error(err)
		}
	}
}

// TestOnlyAnswersThatWereGivenAreRemembered: a question whose answer was left out
// because it was late counts when it is asked again, and so does one that was only
// tried.
func TestOnlyAnswersThatWereGivenAreRemembered(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	b.find("acme", "default", "boats") // into memory
	question := []byte("Who keeps bees?")
	recall := func(timeout time.Duration, dry bool) (Recalled, error) {
		return b.Recall(&Recall{Tenant: "acme", Buckets: []string{"default", "none"}, Question: wire.NewText(&question), TopK: 8, MaxTokens: 800, Timeout: timeout, Dry: dry})
	}
	if _, err := recall(time.Nanosecond, false); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	for i, want := range []struct{ dry, billable bool }{{true, true}, {true, true}, {false, true}, {true, false}, {false, false}} {
		if got, err := recall(time.Minute, want.dry); err != nil || got.Billable != want.billable {
			t.Errorf("time %d, dry %v: billable is %v, %v", i, want.dry, got.Billable, err)
		}
	}
}

// TestAnswersOfAFormerStateAreNotKept: what was found before a change is not
// remembered after it.
func TestAnswersOfAFormerStateAreNotKept(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "Ada keeps bees.")
	q := Question{Tenant: "acme", Buckets: []string{"default"}, Text: "bees", K: 9}
	found, err := b.search(context.Background(), &q)
	if err != nil {
		t.Fatal(err)
	}
	b.store("acme", "default", "Ben keeps bees, too.")
	b.remember("acme", &found)
	if got := b.find("acme", "default", "bees"); len(got) != 2 {
		t.Errorf("found %q", got)
	}
}
