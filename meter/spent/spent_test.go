package spent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
)

// sink refuses some batches, as one does whose disk is full.
type sink struct{ refuses func() bool }

func (s *sink) Checkpoint(context.Context, uuid.UUID) (drain.Checkpoint, error) {
	return drain.Checkpoint{}, nil
}

var errFull = errors.New("disk full")

func (s *sink) Take(context.Context, *drain.Batch) error {
	if s.refuses() {
		return errFull
	}
	return nil
}

func open(t *testing.T, path string, s drain.Sink) (*Book, func()) {
	t.Helper()
	database, err := db.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(context.Background(), database, s)
	if err != nil {
		t.Fatal(err)
	}
	return b, func() { _ = database.Close() }
}

// Batches that the sink refuses come again, and after a crash they are cut in
// other places: every row counts once.
func TestEveryRowCountsOnce(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "ownkey.db")
	s := &sink{refuses: func() bool { return rand.N(3) == 0 }}
	b, shut := open(t, path, s)
	day := time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)
	var rows []*meter.Record
	want := map[Spent]int64{}
	for i := range 3000 {
		r := &meter.Record{
			EventID: meter.NewEventID(), TenantID: fmt.Sprint("t", i%3), TokenID: fmt.Sprint("k", i%7), Start: day.Add(time.Duration(i) * time.Millisecond),
			Attempt: 1, Endpoint: "chat", UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: int64(i), Set: true}, OutputTokens: meter.Count{N: 5, Set: true},
		}
		rows = append(rows, r)
		want[Spent{Tenant: r.TenantID, Token: r.TokenID, Day: DayOf(r.Start)}] += int64(i) + 5
	}
	for from := 0; from < len(rows); {
		to := min(len(rows), from+1+rand.N(60))
		err := b.Take(ctx, &drain.Batch{Requests: rows[from:to]})
		switch {
		case err == nil:
			from = to
		case !errors.Is(err, errFull):
			t.Fatal(err)
		case rand.N(2) == 0: // the process dies; the sink's checkpoint is where it was
			shut()
			b, shut = open(t, path, s)
		default: // the same batch again
			for errors.Is(err, errFull) {
				err = b.Take(ctx, &drain.Batch{Requests: rows[from:to]})
			}
			from = to
		}
	}
	defer shut()
	got, err := b.Since(ctx, DayOf(day))
	if err != nil {
		t.Fatal(err)
	}
	have := map[Spent]int64{}
	for _, s := range got {
		have[Spent{Tenant: s.Tenant, Token: s.Token, Day: s.Day}] = s.Tokens
	}
	if !maps.Equal(have, want) {
		t.Errorf("got  %v\nwant %v", have, want)
	}
	if days := slices.Collect(maps.Keys(want)); len(days) != 42 {
		t.Fatalf("%d kinds of rows: both days are meant to be there", len(days))
	}
}

func TestOldDaysAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	b, shut := open(t, path, &sink{func() bool { return false }})
	for _, ago := range []int{0, keptDays + 2} {
		r := &meter.Record{
			EventID: meter.NewEventID(), TenantID: "t", TokenID: "k", Start: time.Now().AddDate(0, 0, -ago),
			Attempt: 1, Endpoint: "chat", UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: 7, Set: true},
		}
		if err := b.Take(context.Background(), &drain.Batch{Requests: []*meter.Record{r}}); err != nil {
			t.Fatal(err)
		}
	}
	shut()
	b, shut = open(t, path, &sink{})
	defer shut()
	if got, err := b.Since(context.Background(), 0); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}
