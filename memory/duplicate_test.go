package memory

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// filled is a text of one shape with all others, and with hardly a word in common:
// beside its subject it has stop words only.
func filled(i, size int) string {
	stop := []string{"the", "of", "and", "to", "a", "in", "is", "it", "at", "by"}
	var s strings.Builder
	s.WriteString("bees ")
	for s.Len() < size {
		s.WriteString(stop[i%10] + " " + stop[i/10%10] + " ")
	}
	return s.String()
}

// TestComparingHoldsNobodyUp: while long texts of one shape are compared with what
// there is, writers of others do not wait for that.
func TestComparingHoldsNobodyUp(t *testing.T) {
	b := newBed(t).hasty()
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	w := Write{Bucket: "default"}
	for i := range maxNear {
		w.Memories = append(w.Memories, Memory{Content: filled(i, 60<<10)})
	}
	if _, err := b.Store(ctx, who, &w); err != nil {
		t.Fatal(err)
	}
	w = Write{Bucket: "default"}
	for i := range 12 {
		w.Memories = append(w.Memories, Memory{Content: filled(20+i, 40<<10)})
	}
	done := make(chan error)
	began := time.Now()
	go func() {
		_, err := b.Store(ctx, who, &w)
		done <- err
	}()
	longest := time.Duration(0)
	for i := 0; ; i++ {
		time.Sleep(5 * time.Millisecond)
		before := time.Now()
		b.store("rival", "default", fmt.Sprint("boat ", i))
		longest = max(longest, time.Since(before))
		select {
		case err := <-done:
			if took := time.Since(began); err != nil || longest > took/3 {
				t.Errorf("one of another tenant waited %v while %v were compared, %v", longest, took, err)
			}
			return
		default:
		}
	}
}

// TestDuplicatesWithinOneCall: memories of one call are merged as those of several
// are.
func TestDuplicatesWithinOneCall(t *testing.T) {
	long := "Ada has forty hives on the roof of the library, and she said that the bees of all of them were sold to Bob and carried away in the week before Easter, in the rain, at night, by train and by boat, with the help of the two boys of the house next door and of a dog"
	other := strings.Replace(long, "and carried", "then carried", 1)
	third := strings.Replace(long, "forty", "fifty", 1)
	for _, call := range [][]string{{long, other, third, strings.ToUpper(other)}, {long}} {
		b := newBed(t)
		var got []Result
		if len(call) == 1 { // one by one
			for _, text := range []string{long, other, third, strings.ToUpper(other)} {
				r, err := b.Store(context.Background(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Dedup: DedupLoose, Memories: []Memory{{Content: text}}})
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r...)
			}
		} else {
			w := Write{Bucket: "default", Dedup: DedupLoose}
			for _, text := range call {
				w.Memories = append(w.Memories, Memory{Content: text})
			}
			var err error
			if got, err = b.Store(context.Background(), &Caller{Tenant: "acme"}, &w); err != nil {
				t.Fatal(err)
			}
		}
		if got[0].Merged || !got[1].Merged || got[1].ID != got[0].ID || got[1].Reason != ReasonSimilarity || got[1].Similarity >= 1 ||
			got[2].Merged || !got[3].Merged || got[3].ID != got[0].ID {
			t.Errorf("%d in a call: %+v", len(call), got)
		}
	}
}

// TestCopiesAreFoundByTheIndex: not by a look at all that say the same, superseded
// ones among them, while the store is locked: a batch of copies takes as long with
// many of them as with few.
func TestCopiesAreFoundByTheIndex(t *testing.T) {
	b := newBed(t).hasty()
	ctx, who := context.Background(), &Caller{Tenant: "acme"}
	batch := func(bucket string, change func(i int, m *Memory), d Dedup) []Result {
		t.Helper()
		w := Write{Bucket: bucket, Dedup: d}
		for i := range MaxBatch {
			m := Memory{Content: "Ada keeps bees."}
			change(i, &m)
			w.Memories = append(w.Memories, m)
		}
		got, err := b.Store(ctx, who, &w)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for range 8 {
		old := batch("many", func(int, *Memory) {}, DedupOff)
		batch("many", func(i int, m *Memory) { m.Content, m.Supersedes = fmt.Sprint("Boat ", i), old[i].ID }, DedupOff)
		batch("few", func(i int, m *Memory) { m.Content = fmt.Sprint("Ship ", i) }, DedupOff)
		batch("few", func(i int, m *Memory) { m.Content = fmt.Sprint("Boat ", i) }, DedupOff)
	}
	took := func(bucket string) time.Duration {
		began := time.Now()
		if got := batch(bucket, func(int, *Memory) {}, DedupStrict); got[0].Merged || !got[1].Merged || got[999].ID != got[0].ID {
			t.Errorf("%+v, %+v", got[0], got[1])
		}
		return time.Since(began)
	}
	few, many := took("few"), took("many")
	if many > 5*few {
		t.Errorf("beside 8,000 superseded copies %v, else %v", many, few)
	}
	for _, column := range []string{"hash", "shape"} {
		plan := b.plan("SELECT m.id FROM memories m WHERE m.bucket_id = ? AND m."+column+" = ? AND m.superseded_by = '' LIMIT 1", "b", "x")
		if plan != "SEARCH m USING INDEX memories_by_"+column+" (bucket_id=? AND "+column+"=?)" {
			t.Error(plan)
		}
	}
}
