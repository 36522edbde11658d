package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFTS5(t *testing.T) {
	e, err := newFTS5()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	load := func(bucket string, docs ...document) {
		t.Helper()
		if err := e.Load(t.Context(), bucket, docs); err != nil {
			t.Fatal(err)
		}
	}
	load("one", document{ID: "dog", Speaker: "Ann", Text: "We adopted a dog called Rex", Date: time.Date(2023, 5, 8, 0, 0, 0, 0, time.UTC)},
		document{ID: "race", Text: "I ran a race, and then another race"},
		document{ID: "quote", Text: `the "blue" door AND the NEAR one`})
	load("two", document{ID: "dog-of-two", Text: "A dog barks"})

	f := func(bucket, query string, k int, want ...string) {
		t.Helper()
		got, err := e.Search(t.Context(), bucket, query, k)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q: got %v, %v; want %v", bucket, query, got, err, want)
		}
	}
	f("one", "What are the dogs?", 10, "dog") // stemmed; its own bucket
	f("two", "What are the dogs?", 10, "dog-of-two")
	f("one", "Which races did Rex see?", 10, "race", "dog") // any word; the one that says it twice first
	f("one", "Which races did Rex see?", 1, "race")
	f("one", "Ann's", 10, "dog")            // the speaker is indexed
	f("one", "in May", 10, "dog")           // and the day
	f("one", `blue" OR NEAR(`, 10, "quote") // a question is no syntax
	f("one", "?!", 10)
	f("one", "zebra", 10)
	if _, err := e.Search(t.Context(), "three", "dog", 1); err == nil {
		t.Error("a bucket that is not there has no error")
	}
}

func TestQueryWords(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		if got := queryWords(query); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	f("What is Melanie's dog's name? The dog!", "melanie", "dog", "name")
	f("Who is it?", "who", "is", "it") // stop words alone
	f("…")
	if got := anyOf([]string{"a", "b"}, `"`, " OR "); got != `"a" OR "b"` {
		t.Errorf("got %s", got)
	}
}

// slowest is an engine that takes long for one query in fifty.
type slowest struct {
	loaded, searched map[string]int
	finds            bool
	calls            int
}

func (*slowest) Name() string { return "slowest" }

func (e *slowest) Load(_ context.Context, bucket string, docs []document) error {
	if e.loaded[bucket] > 0 {
		return errors.New("loaded twice")
	}
	e.loaded[bucket] = len(docs)
	return nil
}

func (e *slowest) Search(_ context.Context, bucket, query string, k int) ([]string, error) {
	e.searched[bucket]++
	if e.calls++; strings.HasPrefix(query, "slow") {
		time.Sleep(20 * time.Millisecond)
	}
	if !e.finds {
		return nil, nil
	}
	return make([]string, k), nil
}

func (*slowest) Close() error { return nil }

func TestLatency(t *testing.T) {
	queries := slices.Repeat([]string{"quick"}, 100)
	queries[10], queries[60] = "slow", "slow too"
	e := &slowest{loaded: map[string]int{}, searched: map[string]int{}, finds: true}
	p50, p99, err := latency(t.Context(), e, 4, 7, []string{"a", "b"}, queries)
	if err != nil {
		t.Fatal(err)
	}
	if p50 >= 10*time.Millisecond || p99 < 20*time.Millisecond {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	for b := range 4 {
		if name := bucketName(b); e.loaded[name] != 7 || e.searched[name] != 26 { // once before the measurement
			t.Errorf("%s: %d loaded, %d searches", name, e.loaded[name], e.searched[name])
		}
	}
	if _, _, err := latency(t.Context(), &slowest{loaded: map[string]int{}, searched: map[string]int{}}, 1, 1, []string{"a"}, queries[:1]); err == nil {
		t.Error("an engine that finds nothing has a latency")
	}
}

func TestLatencyOfFTS5(t *testing.T) {
	e, err := newFTS5()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p50, p99, err := latency(t.Context(), e, 3, 40, []string{"We adopted a dog", "I ran a race", "It rained"}, []string{"dogs?", "races", "rain"})
	if err != nil || p50 <= 0 || p99 < p50 {
		t.Errorf("p50 %v, p99 %v, %v", p50, p99, err)
	}
}
