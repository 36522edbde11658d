package spent

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/rs/zerolog"
)

// keeper is a sink that keeps its checkpoint over restarts.
type keeper struct {
	sink
	at *drain.Checkpoint
}

func (k *keeper) Checkpoint(ctx context.Context, _ uuid.UUID) (drain.Checkpoint, error) {
	return *k.at, ctx.Err()
}

func (k *keeper) Take(ctx context.Context, b *drain.Batch) error {
	if err := k.sink.Take(ctx, b); err != nil {
		return err
	}
	*k.at = b.Checkpoint
	return nil
}

// TestBeforeIsWhatTheDrainWillCount: after each death of a process, wherever the
// sink had come to by then, the budgets' numbers are there before a single row is
// handed on, and are those that the drain comes to in the end.
func TestBeforeIsWhatTheDrainWillCount(t *testing.T) {
	dir, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	var at drain.Checkpoint
	day := DayOf(time.Now()) - 1
	for round := range 8 {
		j, err := meter.OpenJournal(meter.JournalOptions{Dir: filepath.Join(dir, "ledger"), MaxBytes: 32 << 20, Alarm: func(x ledger.Trouble) { t.Errorf("%+v", x) }})
		if err != nil {
			t.Fatal(err)
		}
		down := false
		b, shut := open(t, filepath.Join(dir, "ownkey.db"), &keeper{sink{func() bool { return down }}, &at})
		before, err := b.Before(t.Context(), j, day)
		if err != nil {
			t.Fatal(err)
		}
		log, aside := zerolog.New(&bytes.Buffer{}), &quarantine.File{}
		d, err := drain.Start(t.Context(), drain.Options{Journal: j, Sink: b, Quarantine: aside, Log: &log, Interval: time.Millisecond, BatchRows: 50})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := b.Since(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		if x, y := byToken(before), byToken(after); fmt.Sprint(x) != fmt.Sprint(y) || round > 0 && len(x) == 0 {
			t.Fatalf("round %d: before %v, after %v", round, x, y)
		}
		stop := 100 + random.IntN(200)
		for i := range 300 {
			r := &meter.Record{
				EventID: meter.NewEventID(), TenantID: "acme", TokenID: fmt.Sprint("k", i%3), Start: time.Now(), Attempt: 1, Endpoint: "chat", RequestBytes: int64(100 + i),
				UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: int64(i), Set: true},
			}
			opened := *r
			opened.UsageSource, opened.InputTokens = meter.UsageNone, meter.Count{}
			if err := j.Open(&opened); err != nil {
				t.Fatal(err)
			}
			if random.IntN(10) > 0 { // the others are open when the process dies
				if err := j.Close(r); err != nil {
					t.Fatal(err)
				}
			}
			if i == stop { // from here on rows wait in the ledger
				_ = d.Flush(t.Context())
				d.Close()
			}
		}
		shut()
		if err := j.Shut(); err != nil {
			t.Fatal(err)
		}
	}
}

func byToken(all []Spent) map[string]int64 {
	sums := map[string]int64{}
	for _, s := range all {
		sums[s.Token] += s.Tokens
	}
	return sums
}
