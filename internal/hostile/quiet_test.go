package hostile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	quietPause = 40 * time.Millisecond // between two of its calls
	callTime   = 20 * time.Second
	lookPause  = 500 * time.Millisecond // between two looks for its records
	arrival    = 5 * time.Second        // what a record may take
	budget     = 1_000_000_000          // tokens of a day, more than it can spend
)

// quiet is the second tenant. It knows what it did, and asks for no more than
// to be counted right.
type quiet struct {
	b     *bed
	token string
	began time.Time

	pause sync.RWMutex // held for writing while the gateway is restarted

	mu         sync.Mutex
	done       map[string]time.Time // when each call's response had come
	arrived    map[string]time.Duration
	failures   []string
	latencies  []time.Duration
	tokens     int64
	stored     int64
	retrievals int64
	worst      time.Duration // until a record arrived
}

func newQuiet(b *bed) *quiet {
	b.t.Helper()
	q := &quiet{b: b, began: time.Now().Add(-time.Second), done: map[string]time.Time{}, arrived: map[string]time.Duration{}}
	b.want("POST", "/tenants", map[string]any{"id": "quiet"}, nil)
	b.want("PUT", "/tenants/quiet/credentials/openai/default", map[string]any{"secret": "sk-quiet"}, nil)
	var made struct{ Token string }
	b.want("POST", "/tenants/quiet/tokens", map[string]any{"label": "quiet", "limits": map[string]any{"tokens_per_day": budget}}, &made)
	q.token = made.Token
	return q
}

// run calls, in turn a completion, a stream, a memory and a recall, until ctx
// ends, and meanwhile looks for its records.
func (q *quiet) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			q.look(ctx)
			wait(ctx, lookPause)
		}
	})
	for i := 0; ctx.Err() == nil; i++ {
		q.step(i)
		wait(ctx, quietPause)
	}
	all.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// during restarts the gateway. Records that were under way have their time
// from then on.
func (q *quiet) during(restart func()) {
	q.pause.Lock()
	defer q.pause.Unlock()
	restart()
	q.mu.Lock()
	defer q.mu.Unlock()
	for id := range q.done {
		if _, ok := q.arrived[id]; !ok {
			q.done[id] = time.Now()
		}
	}
}

// step makes one call, unless the gateway is being restarted.
func (q *quiet) step(i int) {
	q.pause.RLock()
	defer q.pause.RUnlock()
	const ask = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Where does Ada keep her %d bees?"}]}`
	switch i % 4 {
	case 0: // long enough to need room
		q.call("/chat/completions", strings.Replace(fmt.Sprintf(ask, i), "?", strings.Repeat("?", 50_000), 1))
	case 1:
		q.call("/chat/completions", strings.Replace(fmt.Sprintf(ask, i), `{`, `{"stream":true,"stream_options":{"include_usage":true},`, 1))
	case 2:
		if q.call("/buckets/bees/memories", fmt.Sprintf(`{"content":"Ada keeps hive number %d on the roof.","dedup":"off"}`, i)) {
			q.mu.Lock()
			q.stored++
			q.mu.Unlock()
		}
	case 3:
		q.call("/chat/completions", fmt.Sprintf(ask, i), "Ownkey-Memory", "recall", "Ownkey-Bucket", "bees")
	}
}

// call reports whether it succeeded. What did not is a failure of the test.
func (q *quiet) call(path, body string, header ...string) bool {
	ctx, cancel := context.WithTimeout(q.b.t.Context(), callTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+q.b.listen+"/v1"+path, strings.NewReader(body))
	if err != nil {
		panic(err) // our own spelling
	}
	r.Header.Set("Authorization", "Bearer "+q.token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		q.failed("%s: %v", path, err)
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	now := time.Now()
	if err != nil || response.StatusCode != http.StatusOK {
		q.failed("%s: %d %s %v", path, response.StatusCode, text, err)
		return false
	}
	if m := response.Header.Get("Ownkey-Memory"); m == "error" {
		q.failed("%s: Ownkey-Memory: error", path)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.latencies = append(q.latencies, now.Sub(began))
	q.done[response.Header.Get("Ownkey-Request-Id")] = now
	q.tokens += spent(text)
	if response.Header.Get("Ownkey-Memory-Billed") == "true" {
		q.retrievals++
	}
	return true
}

func (q *quiet) failed(format string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failures = append(q.failures, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// spent finds the usage in a completion or in a stream of one.
func spent(text []byte) int64 {
	i := strings.LastIndex(string(text), `"usage":{`)
	if i < 0 {
		return 0
	}
	var usage struct {
		Total int64 `json:"total_tokens"`
	}
	if err := json.NewDecoder(strings.NewReader(string(text[i+len(`"usage":`):]))).Decode(&usage); err != nil {
		return 0
	}
	return usage.Total
}

// look notes which records have arrived.
func (q *quiet) look(ctx context.Context) {
	q.pause.RLock()
	defer q.pause.RUnlock()
	from := q.began.UTC().Format(time.RFC3339)
	var rows []row
	if err := q.b.ask(ctx, "GET", "/records?tenant=quiet&book=requests&from="+url.QueryEscape(from), nil, &rows); err != nil {
		if ctx.Err() == nil {
			q.failed("records: %v", err)
		}
		return
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range rows {
		at, ok := q.done[r.ID]
		if _, known := q.arrived[r.ID]; !ok || known {
			continue
		}
		q.arrived[r.ID] = now.Sub(at)
		q.worst = max(q.worst, now.Sub(at))
	}
}

// late is how many records have not arrived.
func (q *quiet) late() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.done) - len(q.arrived)
}

// check asserts what the second tenant must not notice.
func (q *quiet) check(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the gateway's log: %s", q.b.tail())
		}
	}()
	for _, f := range q.failures[:min(10, len(q.failures))] {
		t.Errorf("a call of the second tenant failed: %s", f)
	}
	if n := len(q.failures); n > 0 {
		t.Errorf("%d calls of the second tenant failed", n)
	}
	if q.worst > arrival+lookPause {
		t.Errorf("a record arrived after %v, want %v", q.worst, arrival)
	}
	if late := q.late(); late > 0 {
		t.Errorf("%d records have not arrived", late)
	}
	q.checkRecords(t)
	q.checkBudget(t)
	q.checkInvoice(t)
	slices.Sort(q.latencies)
	t.Logf("second tenant: %d calls, p50 %v, p99 %v; records after %v at most; %d tokens, %d memories, %d retrievals", len(q.latencies),
		q.latencies[len(q.latencies)/2], q.latencies[len(q.latencies)*99/100], q.worst.Round(time.Millisecond), q.tokens, q.stored, q.retrievals)
}

// checkRecords wants each call once, and nothing else.
func (q *quiet) checkRecords(t *testing.T) {
	t.Helper()
	var rows []row
	q.b.want("GET", "/records?tenant=quiet&book=requests&from=2020-01-01T00:00:00Z", nil, &rows)
	seen := map[string]int{}
	var tokens int64
	for _, r := range rows {
		seen[r.ID]++
		tokens += r.Input + r.Output
		if _, ok := q.done[r.ID]; !ok {
			t.Errorf("a record of a call that the second tenant did not make: %+v", r)
		}
	}
	wrong := 0
	for id := range q.done {
		if seen[id] != 1 {
			if wrong++; wrong <= 5 {
				t.Errorf("call %s has %d records, want 1", id, seen[id])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d calls do not have one record each", wrong)
	}
	if tokens != q.tokens {
		t.Errorf("records have %d tokens, want %d", tokens, q.tokens)
	}
}

// checkBudget wants what is left of the budget to be what was not spent.
func (q *quiet) checkBudget(t *testing.T) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+q.b.listen+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+q.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	want := fmt.Sprintf("tokens_per_day;scope=token;limit=%d;remaining=%d;", budget, budget-q.tokens)
	if got := strings.Join(response.Header.Values("Ownkey-Ratelimit"), ","); !strings.Contains(got, want) {
		t.Errorf("Ownkey-Ratelimit: %s, want %s", got, want)
	}
}

// checkInvoice wants a bill for what was stored and retrieved. The run may go
// over the end of a month.
func (q *quiet) checkInvoice(t *testing.T) {
	t.Helper()
	var rows []row
	q.b.want("GET", "/records?tenant=quiet&book=memory&from=2020-01-01T00:00:00Z", nil, &rows)
	var stored, retrieved int64
	for _, r := range rows {
		switch r.Op {
		case "stored":
			stored += r.Count
		case "retrieved":
			retrieved += r.Count
		}
	}
	if stored != q.stored || retrieved != q.retrievals {
		t.Errorf("memory events say %d stored and %d retrieved, want %d and %d", stored, retrieved, q.stored, q.retrievals)
	}
	var billed int64
	for _, month := range slices.Compact([]string{time.Now().Add(-10 * time.Minute).UTC().Format("2006-01"), time.Now().UTC().Format("2006-01")}) {
		var invoice struct {
			Lines []struct {
				Retrievals int64 `json:"retrievals"`
			} `json:"lines"`
		}
		q.b.want("GET", "/invoices/quiet/"+month+"?format=json", nil, &invoice)
		for _, l := range invoice.Lines {
			billed += l.Retrievals
		}
	}
	if billed != q.retrievals {
		t.Errorf("invoices bill %d retrievals, want %d", billed, q.retrievals)
	}
}
