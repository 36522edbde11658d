package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// laterText is what work that goes on has said: 100,000 tokens by the rule of thumb.
var laterText = strings.Repeat("x", 400_000)

// longID is made as LiteLLM makes the ids of responses.
var longID = "resp_" + strings.Repeat("bGl0ZWxsbTpjdXN0b21fbGxt", 12) + "bw=="

// later is a provider whose work goes on: responses, whose text can be read before
// they are over, xAI's deferred completions, and Anthropic's batches.
type later struct {
	mu     sync.Mutex
	polled map[string]int
	holds  chan struct{} // streams and long answers end when it is closed
}

func (p *later) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	p.mu.Lock()
	p.polled[r.Method+r.URL.Path]++
	times := p.polled[r.Method+r.URL.Path]
	p.mu.Unlock()
	response := func(status, usage string) string {
		return fmt.Sprintf(`{"id":"resp_1","object":"response","status":%q,"background":true,"model":"gpt-5","output":[{"content":[{"type":"output_text","text":%q}]}],"usage":%s}`, status, laterText, usage)
	}
	say := func(status int, kind, body string, holds bool) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
		if holds {
			select {
			case <-p.holds:
			case <-r.Context().Done():
			}
		}
	}
	const usage = `{"input_tokens":1000,"output_tokens":120000,"total_tokens":121000}`
	switch call := r.Method + " " + strings.Replace(r.URL.Path, "/v1/openai/", "/v1/", 1); {
	case call == "POST /v1/responses" && r.URL.Query().Has("streamed"):
		say(200, "text/event-stream", `data: {"type":"response.created","response":{"id":"resp_1","status":"in_progress","background":true}}`+"\n\n"+
			`data: {"type":"response.output_text.delta","delta":"`+laterText+`"}`+"\n\n", true)
	case call == "POST /v1/responses":
		say(200, "application/json", `{"id":"resp_1","object":"response","status":"queued","background":true,"usage":null}`, false)
	case call == "POST /v1/long/responses":
		say(200, "application/json", `{"id":"`+longID+`","object":"response","status":"queued","background":true,"usage":null}`, false)
	case call == "GET /v1/responses/"+longID:
		say(200, "application/json", response("completed", usage), false)
	case strings.HasSuffix(call, "/cancel"):
		say(200, "application/json", response("cancelled", "null"), false)
	case r.URL.Query().Has("stream"):
		say(200, "text/event-stream", `data: {"type":"response.output_text.delta","delta":"`+laterText+`"}`+"\n\n", true)
	case r.URL.Query().Has("cut"):
		say(200, "application/json", response("completed", usage)[:400_100], true)
	case call == "GET /v1/responses/resp_1":
		say(200, "application/json", response("completed", usage), false)
	case call == "POST /v1/chat/completions":
		say(200, "application/json", `{"request_id":"D-1"}`, false)
	case call == "GET /v1/chat/deferred-completion/D-1" && times == 1:
		w.WriteHeader(http.StatusAccepted)
	case call == "GET /v1/chat/deferred-completion/D-1":
		say(200, "application/json", `{"id":"c","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":120000,"total_tokens":121000}}`, false)
	case call == "POST /v1/messages/batches":
		say(200, "application/json", `{"id":"msgbatch_1","type":"message_batch","processing_status":"in_progress","request_counts":{"processing":2}}`, false)
	case call == "GET /v1/messages/batches/msgbatch_1":
		say(200, "application/json", `{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","results_url":"x"}`, false)
	case call == "GET /v1/messages/batches/msgbatch_1/results":
		line := `{"custom_id":"a","result":{"type":"succeeded","message":{"id":"msg_1","content":[{"type":"text","text":"` + laterText + `"}],"usage":{"input_tokens":100,"cache_read_input_tokens":400,"output_tokens":%d}}}}` + "\n"
		if r.Header.Get("Range") != "" {
			say(206, "application/x-jsonl", laterText, false)
			return
		}
		say(200, "application/x-jsonl", fmt.Sprintf(line, 60_000)+`{"custom_id":"b","result":{"type":"errored"}}`+"\n"+strings.TrimSuffix(fmt.Sprintf(line, 60_000), "\n"), false)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestResultsThatAreReadInPartAreCounted: the text of work that goes on can be had
// without its end, and so without its usage: it counts as text then, and what is
// reported in the end counts less that. A result counts once, whatever it is of.
func TestResultsThatAreReadInPartAreCounted(t *testing.T) {
	const response, stream = "POST /v1/responses", "cut GET /v1/responses/resp_1?stream=true"
	for _, f := range []struct {
		name        string
		calls       []string
		least, most float64
	}{
		{"a stream that its reader leaves", []string{response, stream}, 100_000, 100_200},
		{"the same, twice", []string{response, stream, stream}, 200_000, 200_200}, // it may be another part
		{"begun as a stream that its reader leaves", []string{"cut POST /v1/responses?streamed=1"}, 100_000, 100_200},
		{"the same, and then the whole", []string{"cut POST /v1/responses?streamed=1", "GET /v1/responses/resp_1"}, 121_000, 121_000},
		{"a stream, and then the whole", []string{response, stream, "GET /v1/responses/resp_1"}, 121_000, 121_000},
		{"a stream, and then canceled", []string{response, stream, "POST /v1/responses/resp_1/cancel"}, 100_000, 101_000},
		{"canceled", []string{response, "POST /v1/responses/resp_1/cancel", "POST /v1/responses/resp_1/cancel"}, 100_000, 101_000},
		{"JSON that its reader leaves", []string{response, "cut GET /v1/responses/resp_1?cut=1"}, 100_000, 100_200},
		{"below a further name", []string{"POST /v1/openai/responses?api-version=preview", "GET /v1/openai/responses/resp_1?api-version=preview", "GET /v1/openai/responses/resp_1"}, 121_000, 121_000},
		{"a long name", []string{"POST /v1/long/responses", "GET /v1/responses/" + longID, "GET /v1/responses/" + longID}, 121_000, 121_000},
		{"begun elsewhere", []string{stream, "cut GET /v1/responses/resp_1?cut=1", "POST /v1/responses/resp_1/cancel"}, 0, 0},
		{"deferred", []string{"POST /v1/chat/completions", "GET /v1/chat/deferred-completion/D-1", "GET /v1/chat/deferred-completion/D-1", "GET /v1/chat/deferred-completion/D-1"}, 121_000, 121_000},
		{"a batch of messages", []string{"POST /v1/messages/batches", "GET /v1/messages/batches/msgbatch_1", "GET /v1/messages/batches/msgbatch_1/results", "GET /v1/messages/batches/msgbatch_1/results"}, 121_000, 121_000},
		{"a batch of messages, read in parts", []string{"POST /v1/messages/batches", "part GET /v1/messages/batches/msgbatch_1/results", "part GET /v1/messages/batches/msgbatch_1/results"}, 200_000, 200_100},
		{"a batch of messages, a part and the whole", []string{"POST /v1/messages/batches", "part GET /v1/messages/batches/msgbatch_1/results", "GET /v1/messages/batches/msgbatch_1/results"}, 121_000, 121_000},
		{"a batch of messages from elsewhere", []string{"GET /v1/messages/batches/msgbatch_1/results"}, 0, 0},
	} {
		t.Run(f.name, func(t *testing.T) {
			provider := &later{polled: map[string]int{}, holds: make(chan struct{})}
			server := httptest.NewServer(provider)
			defer server.Close()
			defer close(provider.holds)
			h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
			for n, call := range f.calls {
				call, cut := strings.CutPrefix(call, "cut ")
				call, part := strings.CutPrefix(call, "part ")
				method, target, _ := strings.Cut(call, " ")
				if cut {
					body := ""
					if method == "POST" {
						body = `{"model":"gpt-5","background":true,"stream":true,"input":"hello"}`
					}
					c, from := h.dial(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, target, h.token, len(body), body))
					_, _ = io.CopyN(io.Discard, from, 400_050)
					_ = c.Close()
				} else {
					body := ""
					if method == "POST" && !strings.HasSuffix(target, "/cancel") {
						body = `{"model":"gpt-5","background":true,"deferred":true,"input":"hello","messages":[]}`
					}
					var headers []string
					if part {
						headers = []string{"Range", "bytes=0-400000"}
					}
					if a := h.do(method, target, body, headers...); a.status >= 300 || a.err != nil {
						t.Errorf("%s: %d %.100s", call, a.status, a.body)
					}
				}
				h.records(n + 1)
			}
			if _, counted := h.counted(len(f.calls)); counted < f.least || counted > f.most {
				t.Errorf("%v tokens are counted, want %v to %v", counted, f.least, f.most)
			}
		})
	}
}
