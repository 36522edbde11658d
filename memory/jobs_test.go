package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/wire"
)

// model is a provider that does what a healthy one does not: it refuses, and
// counts how many calls it has at once.
type model struct {
	mu       sync.Mutex
	refuse   []error // one for each call; then it answers
	calls    int
	inFlight map[string]int
	most     map[string]int
	delay    time.Duration
	asked    []string
	causes   []string // tokens
}

func (m *model) SpeaksMessages(string, string) bool { return false }

func (m *model) Ask(_ context.Context, who Caller, path string, body []byte) ([]byte, error) {
	tenant := who.Tenant
	m.mu.Lock()
	m.calls++
	if m.inFlight == nil {
		m.inFlight, m.most = map[string]int{}, map[string]int{}
	}
	m.inFlight[tenant]++
	m.most[tenant] = max(m.most[tenant], m.inFlight[tenant])
	m.asked = append(m.asked, string(body))
	m.causes = append(m.causes, who.Token)
	var err error
	if len(m.refuse) > 0 {
		err, m.refuse = m.refuse[0], m.refuse[1:]
	}
	m.mu.Unlock()
	time.Sleep(m.delay)
	m.mu.Lock()
	m.inFlight[tenant]--
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if path == "/chat/completions" {
		return []byte(`{"choices":[{"message":{"content":"` + "```json\\n" + `{\"facts\":[\"Ada owns hives.\"]}` + "\\n```" + `"}}]}`), nil
	}
	var in struct{ Input []string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	type vector struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	var data []vector
	for i, text := range slices.Backward(in.Input) { // in any order
		v := vector{i, []float32{1, 0, 0}}
		if strings.Contains(text, "cat") || strings.Contains(text, "feline") {
			v.Embedding = []float32{0, 2, 0}
		}
		data = append(data, v)
	}
	return json.Marshal(map[string]any{"data": data})
}

func (b *bed) eventually(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not within 15 s: %s", what)
		}
	}
}

func (b *bed) choose(tenant string, s Settings) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settings[tenant] = s
}

// vectors counts those in the store.
func (b *bed) vectors(model string) (n int) {
	if err := b.database.Read.QueryRow("SELECT count(*) FROM vectors WHERE model = ?", model).Scan(&n); err != nil {
		b.t.Error(err)
	}
	return n
}

func TestVectorsAreMadeInTheEnd(t *testing.T) {
	b := newBed(t, func(o *Options) { o.QueryEmbedding = time.Second })
	m := &model{refuse: []error{&AskError{Status: 429, RetryAfter: 20 * time.Millisecond}, &AskError{Status: 500, RetryAfter: 20 * time.Millisecond}}}
	b.Start(m)
	b.choose("acme", Settings{Embeddings: "small"})
	texts := []string{"cats are nice"}
	for i := range 2 * fewestVectors { // of what is usual with a model, a few vectors say nothing
		texts = append(texts, fmt.Sprint("dogs are nice, says number ", i))
	}
	b.store("acme", "default", texts...)
	b.eventually("vectors after two refusals", func() bool { return b.vectors("small") == len(texts) })
	if got := b.find("acme", "default", "my feline"); len(got) != 1 || got[0] != "cats are nice" {
		t.Errorf("by meaning: %q", got)
	}
	if got := b.recall("acme", "my feline"); !strings.Contains(string(got.Block), "cats are nice") || strings.Contains(string(got.Block), "dogs") {
		t.Errorf("by meaning, into a call: %s", got.Block)
	}
	// Another model: all are made anew, also those of a keeper that was not there.
	b.choose("acme", Settings{Embeddings: "large"})
	if err := b.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.eventually("vectors of the other model", func() bool { return b.vectors("large") == len(texts) && b.vectors("small") == 0 })
	if got := b.find("acme", "default", "my feline"); len(got) != 1 {
		t.Errorf("by meaning: %q", got)
	}
}

func TestJobsSurviveTheirProcess(t *testing.T) {
	b := newBed(t)
	b.choose("acme", Settings{Embeddings: "small"})
	b.store("acme", "default", "cats are nice") // nobody works yet
	path := b.path
	b.shut()
	b = openBed(t, path)
	b.choose("acme", Settings{Embeddings: "small"})
	b.Start(&model{})
	b.eventually("the vector", func() bool { return b.vectors("small") == 1 })
}

func TestCallsOfATenantAreBounded(t *testing.T) {
	b := newBed(t)
	m := &model{delay: 30 * time.Millisecond}
	b.Start(m)
	for _, tenant := range []string{"acme", "rival"} {
		b.choose(tenant, Settings{Extraction: "m"})
		for _, text := range []string{"Ada keeps eleven hives on the roof.", "Bob has a boat in the harbour.", "Eve plays the cello on Sundays.", "The library opens at nine.", "The tram leaves at noon today."} {
			b.store(tenant, "default", text)
		}
	}
	b.eventually("all facts", func() bool { return b.Counts().Extracted.Load() == 10 })
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most["acme"] > 2 || m.most["rival"] > 2 || m.most["acme"] == 0 {
		t.Errorf("calls at once: %v", m.most)
	}
	if got := b.find("acme", "default", "Who owns something?"); len(got) == 0 {
		t.Error("nothing is found by its fact")
	}
	if m.calls != 10 {
		t.Errorf("%d calls for 10 memories", m.calls)
	}
}

// TestFailuresAreTriedAgain, but not without end, and not at all where the same
// call would fail in the same way.
func TestFailuresAreTriedAgain(t *testing.T) {
	soon := time.Millisecond
	for _, f := range []struct {
		name   string
		refuse error
		calls  int
	}{
		{"the call is wrong", &AskError{Status: 400, RetryAfter: soon, Final: true}, 1},
		{"the token may not", &AskError{Status: 403, Code: "not_allowed", Unasked: true, Final: true}, 1},
		{"the provider is busy", &AskError{Status: 429, RetryAfter: soon}, maxAttempts},
		{"the provider fails", &AskError{Status: 500, RetryAfter: soon}, maxAttempts},
		{"no connection", &AskError{Status: 502, Code: "upstream_unreachable", RetryAfter: soon}, maxAttempts},
	} {
		for kind, s := range map[string]Settings{"vectors": {Embeddings: "small"}, "facts": {Extraction: "small"}} {
			t.Run(f.name+", "+kind, func(t *testing.T) {
				b := newBed(t)
				m := &model{}
				for range 3 * maxAttempts {
					m.refuse = append(m.refuse, f.refuse)
				}
				b.Start(m)
				b.choose("acme", s)
				b.store("acme", "default", "Cats are nice to have in a library.")
				b.eventually("the end of patience", func() bool { wake(b.wakeJobs); return b.Counts().JobsGivenUp.Load() == 1 })
				wake(b.wakeJobs)
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.calls != f.calls {
					t.Errorf("%d calls, want %d", m.calls, f.calls)
				}
			})
		}
	}
}

// TestGivenUpIsNotForgotten: neither a restart nor a sweep tries again what was
// given up. Another model does, for vectors, and a change of the memory.
func TestGivenUpIsNotForgotten(t *testing.T) {
	b := newBed(t)
	b.choose("acme", Settings{Embeddings: "small"})
	refusing := &model{refuse: []error{&AskError{Status: 400, Final: true}}}
	b.Start(refusing)
	b.store("acme", "default", "cats are nice")
	b.eventually("the end of patience", func() bool { return b.Counts().JobsGivenUp.Load() == 1 })
	path := b.path
	b.shut()
	b = openBed(t, path)
	b.choose("acme", Settings{Embeddings: "small"})
	willing := &model{}
	b.Start(willing)
	if err := b.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.store("acme", "default", "dogs are nice") // is done, and would be done after the other
	b.eventually("a vector", func() bool { return b.vectors("small") == 1 })
	willing.mu.Lock()
	if willing.calls != 1 || strings.Contains(willing.asked[0], "cats") {
		t.Errorf("asked: %q", willing.asked)
	}
	willing.mu.Unlock()
	b.choose("acme", Settings{Embeddings: "large"})
	if err := b.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.eventually("vectors of the other model", func() bool { return b.vectors("large") == 2 })
}

// TestBudgetsAreWaitedFor: what is not asked for want of a budget waits, is no
// attempt, and is done when there is room again. Others go on meanwhile.
func TestBudgetsAreWaitedFor(t *testing.T) {
	b := newBed(t)
	spent := &AskError{Status: 403, Code: "budget_exhausted", RetryAfter: 40 * time.Millisecond, Unasked: true}
	m := &model{}
	for range 3 * maxAttempts {
		m.refuse = append(m.refuse, spent)
	}
	b.Start(m)
	b.choose("acme", Settings{Embeddings: "small"})
	b.store("acme", "default", "cats are nice")
	b.eventually("the vector", func() bool { wake(b.wakeJobs); return b.vectors("small") == 1 })
	if n := b.Counts().JobsGivenUp.Load(); n != 0 {
		t.Errorf("%d jobs were given up", n)
	}
}

// TestManyMemoriesAreFewCalls: vectors are asked for together, and one who waits
// for a budget is asked for one batch of each kind, not for each memory.
func TestManyMemoriesAreFewCalls(t *testing.T) {
	store := func(b *bed) {
		all := make([]Memory, 200)
		for i := range all {
			all[i].Content = fmt.Sprintf("Number %d of the hives stands on roof %d.", i, i*i)
		}
		if _, err := b.Store(context.Background(), &Caller{Tenant: "acme", Token: "tok"}, &Write{Bucket: "default", Memories: all, Dedup: DedupOff}); err != nil {
			b.t.Fatal(err)
		}
	}
	b := newBed(t)
	m := &model{}
	b.Start(m)
	b.choose("acme", Settings{Embeddings: "small"})
	store(b)
	b.eventually("all vectors", func() bool { return b.vectors("small") == 200 })
	m.mu.Lock()
	if want := (200 + batchOf[embedding] - 1) / batchOf[embedding]; m.calls != want {
		t.Errorf("%d calls for 200 vectors, want %d", m.calls, want)
	}
	for _, token := range m.causes {
		if token != "tok" {
			t.Errorf("a call was caused by %q", token)
		}
	}
	m.mu.Unlock()

	waiting := newBed(t)
	m = &model{}
	for range 500 {
		m.refuse = append(m.refuse, &AskError{Status: 403, Code: "budget_exhausted", RetryAfter: time.Hour, Unasked: true})
	}
	waiting.Start(m)
	waiting.choose("acme", Settings{Embeddings: "small", Extraction: "small"})
	store(waiting)
	waiting.eventually("a first call", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.calls > 0 })
	for range 20 {
		wake(waiting.wakeJobs)
	}
	waiting.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	if most := 2; m.calls > most { // as many as may be in flight
		t.Errorf("%d calls while the budget is spent, want %d at most", m.calls, most)
	}
}

func TestBackoffGrows(t *testing.T) {
	for attempts, mid := range map[int]time.Duration{1: firstDelay, 2: time.Minute, 3: 6 * time.Minute, 4: maxBackoff, 40: maxBackoff} {
		if d := backoff(attempts, errAnswer); d < mid/2 || d > 3*mid/2 {
			t.Errorf("after %d tries %v, want about %v", attempts, d, mid)
		}
	}
	if d := backoff(1, &AskError{RetryAfter: 90 * time.Second}); d != 90*time.Second {
		t.Errorf("%v", d)
	}
}

// TestWordsDoNotWaitForMeaning: a model that does not answer in time costs half
// of a recall's time, and the words still find.
func TestWordsDoNotWaitForMeaning(t *testing.T) {
	b := newBed(t, func(o *Options) { o.QueryEmbedding = time.Minute })
	b.Start(&model{delay: 7 * time.Second})
	b.store("acme", "default", "cats are nice")
	b.find("acme", "default", "cats") // loads it
	b.choose("acme", Settings{Embeddings: "small"})
	text := []byte("are cats nice")
	began := time.Now()
	got, err := b.Recall(&Recall{Tenant: "acme", Buckets: []string{"default"}, Question: wire.NewText(&text), TopK: 8, MaxTokens: 800, Timeout: 4 * time.Second})
	if took := time.Since(began); err != nil || len(got.IDs) != 1 || took < 1800*time.Millisecond || took > 4*time.Second {
		t.Errorf("%+v %v after %v", got, err, took)
	}
}
