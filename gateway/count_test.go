package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/meter"
)

// worker is a provider that works in the background: what it has begun is over
// when it was asked for it once.
type worker struct {
	mu    sync.Mutex
	asked map[string]int
}

const workerUsage = `{"input_tokens":1000,"input_tokens_details":{"cached_tokens":100},"output_tokens":500,"output_tokens_details":{"reasoning_tokens":400},"total_tokens":1500}`

func (p *worker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.TrimSuffix(strings.ToLower(r.URL.Path), "/")
	object := func(status, usage string) string {
		return fmt.Sprintf(`{"id":%q,"object":"response","status":%q,"background":true,"model":"gpt-5","output":[],"usage":%s}`, "resp_1", status, usage)
	}
	p.mu.Lock()
	p.asked[r.URL.Path]++
	over := p.asked[r.URL.Path] > 1
	p.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	streamed := strings.Contains(string(body), `"stream":true`) || r.URL.Query().Has("stream")
	w.Header().Set("Content-Type", "application/json")
	if streamed {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	switch {
	case r.Method == "POST" && r.URL.Path == "/v1/responses" && streamed: // cut: the client has left, or the line has
		_, _ = io.WriteString(w, `data: {"type":"response.created","response":`+object("queued", "null")+"}\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case r.Method == "POST" && r.URL.Path == "/v1/responses":
		_, _ = io.WriteString(w, object("queued", "null"))
	case r.URL.Path == "/v1/batches":
		_, _ = io.WriteString(w, `{"id":"batch_1","object":"batch","status":"validating"}`)
	case strings.HasPrefix(r.URL.Path, "/v1/batches/"):
		status := "in_progress"
		if over {
			status = "completed"
		}
		_, _ = fmt.Fprintf(w, `{"id":"batch_1","object":"batch","status":%q,"model":"gpt-5","usage":%s}`, status, workerUsage)
	case strings.HasSuffix(r.URL.Path, "/cancel"):
		_, _ = io.WriteString(w, object("cancelled", workerUsage))
	case streamed:
		_, _ = io.WriteString(w, `data: {"type":"response.completed","response":`+object("completed", workerUsage)+"}\n\n")
	case over:
		_, _ = io.WriteString(w, object("completed", workerUsage))
	default:
		_, _ = io.WriteString(w, object("in_progress", "null"))
	}
}

func newWorkerHouse(t *testing.T) *house {
	t.Helper()
	server := httptest.NewServer(&worker{asked: map[string]int{}})
	t.Cleanup(server.Close)
	return newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
}

// counted adds up what the records say: tokens that the provider reported, and
// tokens that limits count.
func (h *house) counted(n int) (reported, counted float64) {
	h.t.Helper()
	for _, r := range h.records(n) {
		for _, name := range []string{"input_tokens", "output_tokens"} {
			tokens, _ := r[name].(float64)
			reported += tokens
		}
		tokens, _ := r["counted_tokens"].(float64)
		counted += tokens
	}
	return reported, counted
}

// TestBackgroundWorkIsCountedOnce: whichever way its result comes, and however
// often.
func TestBackgroundWorkIsCountedOnce(t *testing.T) {
	const response, stream, batch = `{"model":"gpt-5","background":true,"input":"hello"}`, `{"model":"gpt-5","background":true,"stream":true,"input":"hello"}`, `{"input_file_id":"f","endpoint":"/v1/responses"}`
	for _, f := range []struct {
		name        string
		begin, body string
		fetch       []string // method and path, one after the other
		reported    float64
	}{
		{"polled", "/v1/responses", response, []string{"GET /v1/responses/resp_1", "GET /v1/responses/resp_1", "GET /v1/responses/resp_1?include=x"}, 1500},
		{"escaped", "/v1/responses", strings.Replace(stream, "back", `b\u0061ck`, 1), []string{"GET /v1/responses/resp_1", "GET /v1/responses/resp_1"}, 1500},
		{"spelled in another way", "/v1/Responses/", response, []string{"GET /v1//responses/RESP_1/", "GET /v1/responses/resp_1"}, 1500},
		{"pinned", "/main/v1/responses", response, []string{"GET /v1/responses/resp_1", "GET /main/v1/responses/resp_1", "GET /v1/responses/resp_1"}, 1500},
		{"a stream that was cut", "/v1/responses", stream, []string{"GET /v1/responses/resp_1?stream=true&starting_after=1", "GET /v1/responses/resp_1"}, 1500},
		{"canceled", "/v1/responses", response, []string{"POST /v1/responses/resp_1/cancel", "POST /v1/responses/resp_1/cancel", "GET /v1/responses/resp_1"}, 1500},
		{"a batch", "/v1/batches", batch, []string{"GET /v1/batches/batch_1", "GET /v1/batches/batch_1", "GET /v1/batches/batch_1"}, 1500},
		{"begun elsewhere", "", "", []string{"GET /v1/responses/resp_1", "GET /v1/responses/resp_1", "GET /v1/batches/batch_1", "GET /v1/batches/batch_1", "POST /v1/responses/resp_1/cancel"}, 0},
		{"of another provider", "/v1/responses", response, []string{"GET /second/v1/responses/resp_1", "GET /second/v1/responses/resp_1"}, 0},
		{"its parts", "/v1/responses", response, []string{"GET /v1/responses/resp_1/input_items", "GET /v1/responses/resp_1/input_items"}, 0},
	} {
		t.Run(f.name, func(t *testing.T) {
			h := newWorkerHouse(t)
			n := 0
			if f.begin != "" {
				h.do("POST", f.begin, f.body)
				n++
			}
			for _, call := range f.fetch {
				method, path, _ := strings.Cut(call, " ")
				if a := h.do(method, path, ""); a.status != 200 {
					t.Errorf("%s: %d %s", call, a.status, a.body)
				}
				n++
			}
			reported, counted := h.counted(n)
			if reported != f.reported {
				t.Errorf("%v tokens are in the records, want %v", reported, f.reported)
			}
			if f.reported > 0 && counted != f.reported {
				t.Errorf("%v tokens are counted, want %v", counted, f.reported)
			}
		})
	}
}

// TestBackgroundWorkSpendsABudget, by its result; the call that began it has
// spent its own part before.
func TestBackgroundWorkSpendsABudget(t *testing.T) {
	h := newWorkerHouse(t)
	token := h.mint("acme", directory.NewToken{Label: "background", Limits: directory.Limits{TokensPerDay: 1500}})
	as := []string{"Authorization", "Bearer " + token}
	for range 2 {
		h.do("POST", "/v1/responses", `{"model":"gpt-5","background":true,"input":"hello"}`, as...)
		h.do("GET", "/v1/responses/resp_1", "", as...)
	}
	a := h.do("POST", "/v1/responses", `{"model":"gpt-5","background":true,"input":"hello"}`, as...)
	if a.header.Get("Ownkey-Error") != "budget_exhausted" {
		t.Errorf("after 1,500 tokens of 1,500: %d %s", a.status, a.body)
	}
}

// TestStreamsWithoutUsageCountTheirText: 400 KB in one event are not one token,
// also when the client leaves before the event has ended.
func TestStreamsWithoutUsageCountTheirText(t *testing.T) {
	text := strings.Repeat("x", 400_000)
	events := map[string]string{
		"one event":           `data: {"choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		"an unknown member":   `data: {"choices":[{"index":0,"delta":{"musings":"` + text + `"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		"no JSON":             "data: " + text + "\n\ndata: [DONE]\n\n",
		"cut within an event": `data: {"choices":[{"index":0,"delta":{"content":"` + text,
	}
	for name, stream := range events {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, stream)
				_ = http.NewResponseController(w).Flush()
				if strings.HasPrefix(name, "cut") {
					<-left // the rest never comes
				}
			}))
			defer server.Close()
			h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
			c, from := h.dial(h.raw("/v1/chat/completions", `{"model":"gpt-4o","stream":true,"messages":[]}`))
			if _, err := io.CopyN(io.Discard, bufio.NewReader(from), 400_100); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			if _, counted := h.counted(1); counted < 100_000 || counted > 101_000 {
				t.Errorf("%v tokens are counted for 400,000 bytes", counted)
			}
			close(left)
		})
	}
}

// TestTheClientThatLeavesIsCounted: what was sent until then, once.
func TestTheClientThatLeavesIsCounted(t *testing.T) {
	h := newHouse(t)
	c, from := h.dial(h.raw("/v1/chat/completions", `{"model":"fake:chunks=1000,gap=5ms","stream":true,"messages":[]}`))
	for range 60 {
		if _, err := from.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	record := h.records(1)[0]
	counted, _ := record["counted_tokens"].(float64)
	events, _ := record["events"].(float64)
	if record["outcome"] != "client_cancelled" || events < 10 || counted < events || counted > 4*events+30 {
		t.Errorf("record: %v", record)
	}
}

// TestTheClientThatLeavesEarlyPaysItsInput: before there is an answer, or the
// first event of one, nobody knows of more.
func TestTheClientThatLeavesEarlyPaysItsInput(t *testing.T) {
	h := newHouse(t)
	for i, stream := range []bool{false, true} {
		model := fmt.Sprint("fake:stall,", i)
		body := chatBody(model, stream)
		c, _ := h.dial(h.raw("/v1/chat/completions", body))
		h.arrived(model)
		_ = c.Close()
		record := h.records(i + 1)[i]
		if want := float64(meter.EstimateTokens(int64(len(body)))); record["outcome"] != "client_cancelled" || record["counted_tokens"] != want {
			t.Errorf("stream %v: counted %v, want %v: %v", stream, record["counted_tokens"], want, record)
		}
	}
}

// TestAnswersThatDoNotComeAreCounted: a provider that has the request and does not
// come to the end of its answer in time may bill it. One that cannot be reached does
// not.
func TestAnswersThatDoNotComeAreCounted(t *testing.T) {
	body := `{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("x", 4000) + `"}]}`
	f := func(target string, least, most float64, serve http.HandlerFunc) {
		t.Helper()
		server := httptest.NewServer(serve)
		defer server.Close()
		h := newHouse(t, func(o *options) {
			o.provider = server.URL + "/v1"
			o.limits.FirstByte, o.limits.Idle = 300*time.Millisecond, 300*time.Millisecond
		})
		a := h.do("POST", target, body)
		if _, counted := h.counted(1); a.status < 500 || counted < least || counted > most {
			t.Errorf("%d %s: %v tokens are counted, want %v to %v", a.status, a.body, counted, least, most)
		}
	}
	f("/v1/chat/completions", 1000, 1100, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	f("/v1/chat/completions", 2000, 2200, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "10000")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"`+strings.Repeat("y", 4000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	f("/dead/v1/chat/completions", 0, 0, func(http.ResponseWriter, *http.Request) {})
}
