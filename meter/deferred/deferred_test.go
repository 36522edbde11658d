package deferred

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

func open(t *testing.T, path string) (*Book, *db.DB) {
	t.Helper()
	database, err := db.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(context.Background(), database)
	if err != nil {
		t.Fatal(err)
	}
	return b, database
}

// TestWorkIsCountedOnce: by one of many who fetch it at the same time, also
// after a restart, and for nobody else.
func TestWorkIsCountedOnce(t *testing.T) {
	ctx, now := context.Background(), time.Now()
	path := filepath.Join(t.TempDir(), "ownkey.db")
	b, database := open(t, path)
	w := Work{"acme", "openai", "resp_1"}
	for _, counted := range []int64{7, 70} { // the first stays
		if err := b.Start(ctx, w, counted, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	b, database = open(t, path)
	defer func() { _ = database.Close() }()
	for _, other := range []Work{{"rival", "openai", "resp_1"}, {"acme", "azure", "resp_1"}, {"acme", "openai", "resp_2"}} {
		if _, first, err := b.Finish(ctx, other); err != nil || first {
			t.Errorf("%v: %v %v", other, first, err)
		}
	}
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			counted, first, err := b.Finish(ctx, w)
			if err != nil || first && counted != 7 {
				t.Errorf("%d %v", counted, err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	if firsts.Load() != 1 {
		t.Errorf("counted %d times", firsts.Load())
	}
}

// TestWorkIsForgotten: after its time, and beyond what one tenant may have open.
func TestWorkIsForgotten(t *testing.T) {
	ctx, now := context.Background(), time.Now()
	b, database := open(t, filepath.Join(t.TempDir(), "ownkey.db"))
	defer func() { _ = database.Close() }()
	tx, err := database.Write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i := range mostOfTenant {
		if _, err := tx.Exec("INSERT INTO deferred_work VALUES ('acme', 'openai', ?, 0, ?)", fmt.Sprint("resp_", i), now.Add(time.Duration(i-mostOfTenant)*time.Second).Unix()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec("INSERT INTO deferred_work VALUES ('rival', 'openai', 'old', 0, ?)", now.Add(-keptTime-time.Hour).Unix()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(ctx, Work{"acme", "openai", "new"}, 0, now); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		work Work
		want bool
	}{
		{Work{"acme", "openai", "resp_0"}, false},
		{Work{"acme", "openai", "resp_1"}, true},
		{Work{"acme", "openai", "new"}, true},
		{Work{"rival", "openai", "old"}, false},
	} {
		if _, first, err := b.Finish(ctx, f.work); err != nil || first != f.want {
			t.Errorf("%v: %v %v", f.work, first, err)
		}
	}
}

// TestProgressOfWork: what is read in part is not counted again at the end; work
// that is not known makes none.
func TestProgressOfWork(t *testing.T) {
	ctx := context.Background()
	b, database := open(t, filepath.Join(t.TempDir(), "ownkey.db"))
	defer func() { _ = database.Close() }()
	w := Work{"acme", "openai", "resp_1"}
	progress := func(w Work, want bool) {
		t.Helper()
		if known, err := b.Progress(ctx, w, 100); err != nil || known != want {
			t.Errorf("%v: known %v, want %v, %v", w, known, want, err)
		}
	}
	progress(w, false)
	if err := b.Start(ctx, w, 7, time.Now()); err != nil {
		t.Fatal(err)
	}
	progress(Work{"rival", "openai", "resp_1"}, false)
	progress(w, true)
	progress(w, true)
	if counted, first, err := b.Finish(ctx, w); counted != 207 || !first || err != nil {
		t.Errorf("at the end %d were counted, %v, %v", counted, first, err)
	}
	progress(w, false)
}
