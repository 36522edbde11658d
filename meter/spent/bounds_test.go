package spent

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
)

// used is a request of a token that ended at a time and used up tokens, as the
// provider says.
func used(token string, end time.Time, tokens int64) *meter.Record {
	return &meter.Record{
		EventID: meter.NewEventID(), TenantID: "acme", TokenID: token, Start: end.Add(-time.Minute), TotalTime: time.Minute, Attempt: 1, Endpoint: "chat",
		UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: tokens, Set: true},
	}
}

// journal opens the ledger in a directory, as a new process does.
func journal(t *testing.T, dir string) *meter.Journal {
	t.Helper()
	j, err := meter.OpenJournal(meter.JournalOptions{Dir: dir, MaxBytes: 32 << 20, Alarm: func(x ledger.Trouble) { t.Errorf("%+v", x) }})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func end(t *testing.T, j *meter.Journal, all ...*meter.Record) {
	t.Helper()
	for _, r := range all {
		if err := errors.Join(j.Open(r), j.Close(r)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBeforeBeginsWithTheDay: the day that is asked for counts, the one before it
// does not; nor does what nothing was spent on, nor what this process has written.
func TestBeforeBeginsWithTheDay(t *testing.T) {
	dir := t.TempDir()
	midnight := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	day := DayOf(midnight)
	j := journal(t, filepath.Join(dir, "ledger"))
	end(t, j, used("a", midnight.Add(-time.Millisecond), 100), used("a", midnight, 20), used("a", midnight.Add(24*time.Hour), 3), used("idle", midnight, 0))
	if err := j.Shut(); err != nil {
		t.Fatal(err)
	}
	j = journal(t, filepath.Join(dir, "ledger"))
	defer j.Shut()
	end(t, j, used("a", midnight, 5000))
	var at drain.Checkpoint
	b, shut := open(t, filepath.Join(dir, "ownkey.db"), &keeper{sink{func() bool { return false }}, &at})
	defer shut()
	for from, want := range map[int64][]Spent{
		day - 1: {{"acme", "a", day - 1, 100}, {"acme", "a", day, 20}, {"acme", "a", day + 1, 3}},
		day:     {{"acme", "a", day, 20}, {"acme", "a", day + 1, 3}},
		day + 1: {{"acme", "a", day + 1, 3}},
		day + 2: nil,
	} {
		got, err := b.Before(t.Context(), j, from)
		slices.SortFunc(got, func(x, y Spent) int { return int(x.Day - y.Day) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("from day %+d: %v, want %v, %v", from-day, got, want, err)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	ended := tail{counted: map[uuid.UUID]bool{}, sums: map[Spent]int64{}, opens: map[uuid.UUID][]byte{}}
	if err := ended.read(gone, j, at); !errors.Is(err, context.Canceled) {
		t.Errorf("a reading that was ended: %v", err)
	}
}

// TestOnlyWhatWasSpentIsKept: a request without tokens leaves no row.
func TestOnlyWhatWasSpentIsKept(t *testing.T) {
	b, shut := open(t, filepath.Join(t.TempDir(), "ownkey.db"), &sink{func() bool { return false }})
	defer shut()
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	batch := &drain.Batch{Requests: []*meter.Record{used("a", noon, 0), used("b", noon, 1), used("c", noon.AddDate(0, 0, 1), 2)}}
	if err := b.Take(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	day := DayOf(noon)
	for from, want := range map[int64][]Spent{day: {{"acme", "b", day, 1}, {"acme", "c", day + 1, 2}}, day + 1: {{"acme", "c", day + 1, 2}}, day + 2: nil} {
		got, err := b.Since(t.Context(), from)
		slices.SortFunc(got, func(x, y Spent) int { return int(x.Day - y.Day) })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("since day %+d: %v, want %v, %v", from-day, got, want, err)
		}
	}
}

// TestDaysAreKeptForTheLongestBudget: forty days, to the day, and more where a clock
// says that the last row is older than that: it may be ahead.
func TestDaysAreKeptForTheLongestBudget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	b, shut := open(t, path, &sink{func() bool { return false }})
	now := time.Now()
	batch := &drain.Batch{Requests: []*meter.Record{used("kept", now.AddDate(0, 0, 1-keptDays), 7), used("old", now.AddDate(0, 0, -1-keptDays), 7)}}
	if err := b.Take(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	shut()
	b, shut = open(t, path, &sink{func() bool { return false }})
	if got, err := b.Since(t.Context(), 0); err != nil || len(got) != 2 {
		t.Errorf("no row of today: %v, %v", got, err)
	}
	if err := b.Take(t.Context(), &drain.Batch{Requests: []*meter.Record{used("now", now, 7)}}); err != nil {
		t.Fatal(err)
	}
	shut()
	b, shut = open(t, path, &sink{})
	defer shut()
	if got, err := b.Since(t.Context(), 0); err != nil || len(got) != 2 || got[0].Token != "kept" || got[1].Token != "now" {
		t.Errorf("%v, %v", got, err)
	}
}
