package memory

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// filled is a text of one shape with all others, and with hardly a word in common:
// beside its subject it has filler words only.
func filled(i, size int) string {
	fill := []string{"the", "a", "an", "just", "really", "actually", "basically", "simply", "please", "well"}
	var s strings.Builder
	s.WriteString("bees ")
	for s.Len() < size {
		s.WriteString(fill[i%10] + " " + fill[i/10%10] + " ")
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
	other := strings.Replace(long, "and carried", "and really carried", 1)
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

// TestNothingIsMergedThatSaysSomethingElse: of each pair both are kept, whatever way of
// merging is asked for.
func TestNothingIsMergedThatSaysSomethingElse(t *testing.T) {
	b, n := newBed(t), 0
	long := " and we all agreed that this is how it will be done from the first of May on, whatever the weather says, as the committee of the library had decided in its last meeting before the summer, with the votes of everybody who was in the room at that time of the evening"
	for _, pair := range [][2]string{
		{"Ada owes Bob 5 euros", "Bob owes Ada 5 euros"},
		{"Flight from Oslo to Rome", "Flight from Rome to Oslo"},
		{"Flight from Oslo to Rome", "Flight to Oslo from Rome"},
		{"Send it to me, not to Bob", "Send it to Bob, not to me"},
		{"Meet before the speech", "Meet after the speech"},
		{"Turn the heating on at night", "Turn the heating off at night"},
		{"The cat is under the bed", "The cat is on the bed"},
		{"Go up the stairs", "Go down the stairs"},
		{"I can eat nuts", "I cannot eat nuts"},
		{"I can eat nuts", "I can't eat nuts"},
		{"She never smokes", "She smokes"},
		{"She always smokes", "She never smokes"},
		{"I like it with milk", "I like it without milk"},
		{"He was my boss", "He is my boss"},
		{"He will move to Rome", "He moved to Rome"},
		{"It is -5 degrees", "It is 5 degrees"},
		{"It costs 1.5 euros", "It costs 15 euros"},
		{"It costs $20", "It costs 20 €"},
		{"Pay 10% of it", "Pay 10 of it"},
		{"The dose is 5 mg", "The dose is 5 g"},
		{"Meet on 3 May", "Meet on 4 May"},
		{"Room A-12", "Room A-21"},
		{"Version 1.2.3", "Version 1.3.2"},
		{"You like tea", "You like tea?"},
		{"I have a son", "I have sons"},
		{"Only Ada has the key", "Ada only has the key"},
		{"All of them came", "None of them came"},
		{"Every day but Monday", "Every day on Monday"},
		{"He gave her his book", "She gave him her book"},
		{"More than ten people", "Less than ten people"},
		{"Left at the church", "Right at the church"},
		{"My sister's husband", "My husband's sister"},
		{"The dog bit the man", "The man bit the dog"},
		{"Der Mann beißt den Hund", "Den Mann beißt der Hund"},
		{"Ich fliege von Oslo nach Rom", "Ich fliege von Rom nach Oslo"},
		{"Mit Zucker, ohne Milch", "Ohne Zucker, mit Milch"},
		{"Je vais de Lyon à Nice", "Je vais de Nice à Lyon"},
		{"Il ne fume pas", "Il fume"},
		{"Voy de Madrid a Cádiz", "Voy de Cádiz a Madrid"},
		{"No como carne", "Como carne"},
		{"Anna ama Marco", "Marco ama Anna"},
		{"Eu como carne", "Eu não como carne"},
		{"Иван любит Анну", "Анна любит Ивана"},
		{"Он не курит", "Он курит"},
		{"Ali Ayşe'ye borçlu", "Ayşe Ali'ye borçlu"},
		{"我喜欢茶", "我不喜欢茶"},
		{"小明欠小红五元", "小红欠小明五元"},
		{"私は肉を食べます", "私は肉を食べません"},
		{"나는 고기를 먹어요", "나는 고기를 안 먹어요"},
		{"أحب الشاي", "لا أحب الشاي"},
	} {
		for _, end := range []string{"", long} {
			for _, way := range []Dedup{"", DedupLoose, DedupStrict} {
				n++
				for i, text := range pair {
					got, err := b.Store(t.Context(), &Caller{Tenant: "acme"}, &Write{Bucket: fmt.Sprint("bucket-", n), Dedup: way, Memories: []Memory{{Content: text + end}}})
					if err != nil {
						t.Fatal(err)
					}
					if i == 1 && got[0].Merged {
						t.Errorf("%q: %q became %q (%d more bytes)", way, text, pair[0], len(end))
					}
				}
			}
		}
	}
}

// TestTheSameIsMerged: texts that differ in fillers and punctuation are, as far as they
// have their share of words in common.
func TestTheSameIsMerged(t *testing.T) {
	for _, c := range []struct {
		a, b string
		way  Dedup
		want bool
	}{
		{"Ada keeps bees.", "ada  keeps BEES.", DedupStrict, true},
		{"Ada keeps bees.", "Ada keeps bees!", DedupStrict, true},
		{"Ada keeps bees.", "Ada \"keeps\" bees", "", true},
		{"Ada keeps bees.", "Ada really keeps bees.", DedupStrict, false}, // three of four words
		{"My sister Ines has had the two keys of the summer house at the lake since the wedding in the spring of last year", "My sister Ines really has had the two keys of the summer house at the lake since the wedding in the spring of last year", DedupLoose, true},
		{"My sister Ines has had the two keys of the summer house at the lake since the wedding in the spring of last year", "My sister Ines really has had the two keys of the summer house at the lake since the wedding in the spring of last year", DedupStrict, false},
	} {
		b := newBed(t)
		for i, text := range []string{c.a, c.b} {
			got, err := b.Store(t.Context(), &Caller{Tenant: "acme"}, &Write{Bucket: "default", Dedup: c.way, Memories: []Memory{{Content: text}}})
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 && got[0].Merged != c.want {
				t.Errorf("%q and %q (%s): merged %v", c.a, c.b, c.way, got[0].Merged)
			}
		}
	}
}
