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
