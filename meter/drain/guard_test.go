package drain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fill"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/ownkey/ownkey/meter/sqlite"
	"github.com/rs/zerolog"
)

func openQuarantine(t *testing.T, dir string, most int64) *quarantine.File {
	t.Helper()
	q, err := quarantine.Open(filepath.Join(dir, "quarantine", quarantine.FileName), most)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// picky is a store that refuses the rows of one tenant, is down now and then,
// and takes each event id once.
type picky struct {
	random *rand.Rand
	taken  map[uuid.UUID]bool
	at     drain.Checkpoint
}

var errDown = errors.New("down")

func (p *picky) Checkpoint(context.Context, uuid.UUID) (drain.Checkpoint, error) { return p.at, nil }

func (p *picky) Take(_ context.Context, b *drain.Batch) error {
	if p.random.IntN(10) == 0 {
		return errDown
	}
	for _, r := range b.Requests {
		if r.TenantID == "bad" {
			return fmt.Errorf("row: %w", drain.ErrRefused)
		}
	}
	for _, r := range b.Requests {
		p.taken[r.EventID] = true
	}
	for _, m := range b.Memory {
		p.taken[m.EventID] = true
	}
	p.at = b.Checkpoint
	return nil
}

// TestOnlyRefusedRowsAreSetAside: of any batch, exactly the rows that the store
// refuses are in the quarantine, and all others in the store, although the store
// is down again and again meanwhile.
func TestOnlyRefusedRowsAreSetAside(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		log := zerolog.New(&bytes.Buffer{})
		p := &picky{random: random, taken: map[uuid.UUID]bool{}}
		q := openQuarantine(t, t.TempDir(), 0)
		g := &drain.Guard{Store: p, Quarantine: q, Log: &log}
		b := &drain.Batch{Checkpoint: drain.Checkpoint{Next: ledger.Position{File: 1, Offset: int64(round + 1)}}}
		good, bad := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
		for range 1 + random.IntN(60) {
			r := record()
			good[r.EventID] = true
			if random.IntN(8) == 0 {
				r.TenantID = "bad"
				delete(good, r.EventID)
				bad[r.EventID] = true
			}
			b.Requests = append(b.Requests, r)
		}
		m := &meter.MemoryEvent{EventID: meter.NewEventID(), TenantID: "acme"}
		b.Memory, good[m.EventID] = append(b.Memory, m), true
		err := g.Take(t.Context(), b)
		for errors.Is(err, errDown) {
			err = g.Take(t.Context(), b)
		}
		must(t, err)
		aside := map[uuid.UUID]bool{}
		must(t, q.Each(func(r *quarantine.Row) error { aside[r.EventID] = true; return nil }))
		if fmt.Sprint(p.taken) != fmt.Sprint(good) || fmt.Sprint(aside) != fmt.Sprint(bad) || p.at.Next != b.Checkpoint.Next {
			t.Fatalf("round %d: %d taken of %d, %d set aside of %d, %+v", round, len(p.taken), len(good), len(aside), len(bad), p.at)
		}
	}
}

// TestFullQuarantineStopsNothing: rows that find no room are counted.
func TestFullQuarantineStopsNothing(t *testing.T) {
	dir := t.TempDir()
	q := openQuarantine(t, dir, 2000)
	for range 20 {
		must(t, q.Add(quarantine.Of(record(), "test", time.Now())))
	}
	s := q.State()
	if s.Held == 0 || s.Dropped == 0 || s.Held+s.Dropped != 20 {
		t.Errorf("%+v", s)
	}
	if again := openQuarantine(t, dir, 2000).State(); again.Held != s.Held || again.Added != 0 {
		t.Errorf("after a restart: %+v", again)
	}
}

// TestAnyNumberPassesToSQLite: whatever int64 stands in any field of any row, in
// what is appended now and in what a program without bounds has left in the
// ledger, the rows behind it arrive, sums and budgets can be read and do not
// shrink, and a restart on the same files works.
func TestAnyNumberPassesToSQLite(t *testing.T) {
	dir, random := t.TempDir(), rand.New(rand.NewPCG(3, 4))
	l, err := ledger.Open(ledger.Options{Dir: dir, MaxBytes: 64 << 20, Alarm: func(ledger.Trouble) {}})
	must(t, err)
	for range 3000 {
		must(t, l.Append(kindOf(fill.Absurd(random, "hostile"))))
	}
	must(t, l.Close())
	honest := 0
	for range 3 { // restarts
		j := journal(t, dir)
		usageDB, err := db.Open(t.Context(), filepath.Join(dir, "usage.db"))
		must(t, err)
		store, err := sqlite.Open(t.Context(), usageDB)
		must(t, err)
		log := zerolog.New(&bytes.Buffer{})
		q := openQuarantine(t, dir, 0)
		book, err := spent.Open(t.Context(), usageDB, &drain.Guard{Store: store, Quarantine: q, Log: &log})
		must(t, err)
		d := start(t, j, book, &bytes.Buffer{})
		for range 1000 {
			must(t, appendRow(j, fill.Absurd(random, "hostile")))
			r := record()
			r.InputTokens = meter.Count{N: 1, Set: true}
			must(t, j.Close(r))
			honest++
		}
		flush(t, d)
		rows := 0
		must(t, store.ListRequests(t.Context(), "acme", time.Unix(0, 0), time.Now().Add(time.Hour), func(*meter.Record) error { rows++; return nil }))
		if rows != honest {
			t.Fatalf("%d rows of %d, quarantine %+v", rows, honest, q.State())
		}
		all, err := book.Since(t.Context(), 0)
		must(t, err)
		for _, s := range all {
			if s.Tokens < 0 {
				t.Errorf("%+v", s)
			}
		}
		d.Close()
		must(t, usageDB.Close())
		must(t, j.Shut())
	}
}

// TestRowsPastTheBoundsAreSetAside: the same without the ledger's bounds in
// front, so that the store does refuse.
func TestRowsPastTheBoundsAreSetAside(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	usageDB, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "usage.db"))
	must(t, err)
	defer usageDB.Close()
	store, err := sqlite.Open(t.Context(), usageDB)
	must(t, err)
	_, err = usageDB.Write.Exec("CREATE TRIGGER refuse BEFORE INSERT ON requests WHEN NEW.tenant = 'refused' BEGIN SELECT RAISE(ABORT, 'refused'); END")
	must(t, err)
	log, q := zerolog.New(&bytes.Buffer{}), openQuarantine(t, t.TempDir(), 0)
	g := &drain.Guard{Store: store, Quarantine: q, Log: &log}
	refused := int64(0)
	for range 20 {
		b := &drain.Batch{Gateway: ledger.Identity{Gateway: uuid.UUID{1}}}
		for range 50 {
			switch r := fill.Absurd(random, "hostile").(type) {
			case *meter.Record:
				if random.IntN(4) == 0 {
					r.TenantID = "refused"
					refused++
				}
				b.Requests = append(b.Requests, r)
			case *meter.Unseal:
				b.Unseals = append(b.Unseals, r)
			case *meter.MemoryEvent:
				b.Memory = append(b.Memory, r)
			}
			b.Requests = append(b.Requests, record())
		}
		must(t, g.Take(t.Context(), b))
	}
	rows := 0
	must(t, store.ListRequests(t.Context(), "acme", time.Unix(0, 0), time.Now().Add(time.Hour), func(*meter.Record) error { rows++; return nil }))
	if rows != 1000 || q.State().Held < refused || refused == 0 {
		t.Errorf("%d rows, %d refused, %+v", rows, refused, q.State())
	}
}

func kindOf(r meter.Row) (ledger.Kind, []byte) {
	switch r.(type) {
	case *meter.Unseal:
		return meter.FrameUnseal, fill.Unbounded(r)
	case *meter.MemoryEvent:
		return meter.FrameMemory, fill.Unbounded(r)
	}
	return meter.FrameRequest, fill.Unbounded(r)
}

func appendRow(j *meter.Journal, r meter.Row) error {
	switch r := r.(type) {
	case *meter.Unseal:
		return j.Unseal(r)
	case *meter.MemoryEvent:
		return j.Memory(r)
	case *meter.Record:
		return j.Close(r)
	}
	panic("BUG")
}
