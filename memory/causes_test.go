package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/linear"
)

// TestCausesOfJobsAreFound: each tenant, kind and token with a job that is due, once.
func TestCausesOfJobsAreFound(t *testing.T) {
	b := newBed(t)
	b.store("acme", "default", "one", "two", "three", "four")
	now := time.Now()
	insert := func(kind, seq int, tenant, token string, at time.Time) {
		t.Helper()
		if _, err := b.database.Write.Exec("INSERT INTO jobs (kind, seq, tenant, attempts, not_before, token) VALUES (?, ?, ?, 0, ?, ?)", kind, seq, tenant, at.UnixMicro(), token); err != nil {
			t.Fatal(err)
		}
	}
	insert(0, 1, "b", "", now)
	insert(0, 2, "b", "", now)
	insert(0, 3, "b", "z", now.Add(time.Hour))
	insert(1, 1, "b", "a", now)
	insert(1, 2, "a", "b", now)
	insert(1, 3, "a", "c", now.Add(-time.Hour))
	insert(0, 4, "c", "a", now.Add(time.Hour))
	all, err := b.causes(context.Background(), now)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, d := range all {
		got = append(got, fmt.Sprint(d.who.Tenant, d.kind, d.who.Token))
	}
	if want := []string{"a1b", "a1c", "b0", "b1a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCausesOfJobsAreSearchedFor: a million jobs that wait for a budget are not
// looked at once a second, nor at each write of anybody.
func TestCausesOfJobsAreSearchedFor(t *testing.T) {
	b := newBed(t)
	searches := 0
	if err := each(context.Background(), b.o.Read, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		if strings.HasPrefix(detail, "SCAN jobs") || strings.Contains(detail, "TEMP B-TREE") {
			t.Error(detail)
		}
		if strings.HasPrefix(detail, "SEARCH ") {
			searches++
		}
		return err
	}, "EXPLAIN QUERY PLAN "+nextCause, "", 0, "", 0); err != nil || searches < 4 {
		t.Errorf("%d searches, %v", searches, err)
	}
}

// TestWaitsAreForgotten: of tokens that wait for a budget nothing is kept when that
// is over, though their jobs may be gone.
func TestWaitsAreForgotten(t *testing.T) {
	b := newBed(t)
	q := queue{k: b.Keeper, running: map[string]int{}, waits: map[Caller]time.Time{}}
	for i := range 1000 {
		q.wait(Caller{Tenant: "acme", Token: fmt.Sprint(i)}, time.Nanosecond)
	}
	q.wait(Caller{Tenant: "acme", Token: "one more"}, time.Hour)
	if err := q.start(context.Background()); err != nil || len(q.waits) != 1 {
		t.Errorf("%d waits, %v", len(q.waits), err)
	}
}

// TestHouseholdsOfEndedTenantsGo: those that have stored nothing are in no list.
func TestHouseholdsOfEndedTenantsGo(t *testing.T) {
	b := newBed(t)
	for i := range 100 {
		b.Marker(fmt.Sprint("t", i))
	}
	b.mu.Lock()
	for i := range 99 {
		b.dead[fmt.Sprint("t", i)] = true
	}
	b.mu.Unlock()
	if err := b.sweep(context.Background()); err != nil || b.households.Size() != 1 {
		t.Errorf("%d households, %v", b.households.Size(), err)
	}
}

// wide is a provider whose vectors have as many dimensions as it likes.
type wide struct{ dims int }

func (*wide) SpeaksMessages(string, string) bool { return false }

func (w *wide) Ask(context.Context, Caller, string, []byte) ([]byte, error) {
	return json.Marshal(map[string]any{"data": []any{map[string]any{"index": 0, "embedding": make([]float32, w.dims)}}})
}

// TestVectorsAreBounded: no provider makes a tenant store more of a memory than a
// vector of a known size.
func TestVectorsAreBounded(t *testing.T) {
	b := newBed(t)
	w := &wide{}
	b.Start(w)
	for dims, good := range map[int]bool{maxDims: true, maxDims + 1: false} {
		w.dims = dims
		if _, err := b.askVectors(context.Background(), Caller{Tenant: "acme"}, "m", []string{"x"}); (err == nil) != good {
			t.Errorf("%d dimensions: %v", dims, err)
		}
	}
}

// TestVectorsOfOtherDimensionsGo: in time that grows with the vectors, whatever
// their order.
func TestVectorsOfOtherDimensionsGo(t *testing.T) {
	linear.Check(t, 1<<10, func(n int) func() {
		r := newResident(bucketKey{"acme", "default"}, "b", new(atomic.Int64))
		for i := range n {
			r.add(&Memory{ID: fmt.Sprint(i), Content: "x", tenant: "acme"})
		}
		return func() {
			for i := range n {
				r.setVector(fmt.Sprint(i), make([]float32, 1+i%2))
			}
		}
	})
	r := newResident(bucketKey{"acme", "default"}, "b", new(atomic.Int64))
	for i := range 3 {
		r.add(&Memory{ID: fmt.Sprint(i), Content: "x", tenant: "acme"})
	}
	text := r.text
	for range 50 { // changed and embedded again and again
		for i := range 3 {
			r.setVector(fmt.Sprint(i), []float32{1, 2})
			r.replace(&Memory{ID: fmt.Sprint(i), Content: fmt.Sprint(i, r.vectors.of[i]), tenant: "acme"})
		}
	}
	r.setVector("0", []float32{1, 2})
	r.setVector("1", []float32{1})
	if len(r.vectors.set) > 7 || r.vectors.of[0] != nil || len(r.vectors.of[1]) != 1 || r.text < text {
		t.Errorf("%+v", r.vectors)
	}
}

// TestJobsAreTakenByTheirPlaces: of a tenant's memories those of the batch are read,
// and no others: it is done while the store is locked.
func TestJobsAreTakenByTheirPlaces(t *testing.T) {
	plan := newBed(t).plan(takeJobs, "a", "a", 1, "", 1, 1)
	if !strings.Contains(plan, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)") || strings.Contains(plan, "autoindex_memories") {
		t.Error(plan)
	}
}
