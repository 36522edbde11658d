package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/upstream"
)

// promised is how long after a client's leaving the provider's connection may
// stay open. A busy machine adds to both clocks, so one of several tries has to
// keep to it, nine of ten of a thousand to usual, and each to tolerated.
const (
	promised  = 100 * time.Millisecond
	usual     = 250 * time.Millisecond
	tolerated = 2 * time.Second
	tries     = 5
)

// left finds the request of a model in the provider's journal, once it was
// left.
func (h *house) left(model string) (r fakeprovider.Request) {
	h.t.Helper()
	h.eventually("the provider's connection of "+model+" is closed", func() bool {
		for _, r = range h.provider.Requests() {
			if r.Model == model && !r.LeftAt.IsZero() {
				return true
			}
		}
		return false
	})
	return r
}

func (h *house) arrived(model string) {
	h.t.Helper()
	h.eventually(model+" arrives", func() bool {
		return slices.ContainsFunc(h.provider.Requests(), func(r fakeprovider.Request) bool { return r.Model == model })
	})
}

func TestProviderIsLeftWhenClientLeaves(t *testing.T) {
	h := newHouse(t)
	n := 0
	f := func(name, model string, stream bool, reads int) {
		t.Helper()
		leaves := func(t *testing.T, model string) time.Duration {
			n++
			c, r := h.dial(h.raw("/v1/chat/completions", chatBody(model, stream)))
			h.arrived(model)
			for range reads {
				if _, err := r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			closed := time.Now()
			_ = c.Close()
			took := h.left(model).LeftAt.Sub(closed)
			if took > tolerated {
				t.Errorf("the provider was left after %v", took)
			}
			record := h.records(n)[n-1]
			if record["outcome"] != "client_cancelled" {
				t.Errorf("record %v", record)
			}
			return took
		}
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for i := 0; i < tries && best > promised; i++ {
				best = min(best, leaves(t, fmt.Sprint(model, ",try=", i)))
			}
			if best > promised {
				t.Errorf("the provider was left after %v at best", best)
			}
		})
	}
	f("before the first byte, unary", "fake:stall,a", false, 0)
	f("before the first byte, stream", "fake:stall,b", true, 0)
	f("while the provider thinks", "fake:delay=1m", false, 0)
	f("in a stream that flows", "fake:chunks=1000,gap=5ms", true, 25)
	f("in a stream that is silent", "fake:chunks=10,stall-after=3", true, 25)
	if idle := h.client.Idle(); idle != 0 {
		t.Errorf("%d connections were kept of answers that nobody read", idle)
	}
}

// TestClientThatLeavesAfterTheLastEventIsNoCancel: SDKs close as soon as they
// have seen [DONE].
func TestClientThatLeavesAfterTheLastEventIsNoCancel(t *testing.T) {
	h := newHouse(t)
	c, r := h.dial(h.raw("/v1/chat/completions", chatBody("m", true)))
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "data: [DONE]") {
			break
		}
	}
	_ = c.Close()
	if record := h.records(1)[0]; record["outcome"] != "completed" || record["usage_source"] != "none" {
		t.Errorf("record %v", record)
	}
}

func TestProviderThatBreaksOffIsTold(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.limits = upstream.Limits{Connect: time.Second, FirstByte: time.Second, Idle: 200 * time.Millisecond}
	})
	n := 0
	f := func(path, model, code, outcome, event string) {
		t.Helper()
		n++
		a := h.do("POST", path, chatBody(model, true), versionOf(path)...)
		if a.status != 200 || a.err == nil {
			t.Errorf("%s: %d, a clean end", model, a.status)
		}
		last := a.body[strings.LastIndex(strings.TrimSuffix(a.body, "\n\n"), "\n\n")+2:]
		if !strings.HasPrefix(last, event) || !strings.Contains(last, `"code":"`+code+`"`) || strings.Contains(a.body, "[DONE]") || !strings.HasSuffix(a.body, "\n\n") {
			t.Errorf("%s: the stream ends with %q", model, last)
		}
		if !strings.Contains(a.body, "chunk 1 ") {
			t.Errorf("%s: what came was not relayed: %q", model, a.body)
		}
		if r := h.records(n)[n-1]; r["outcome"] != outcome || r["error_code"] != code {
			t.Errorf("%s: record %v", model, r)
		}
	}
	const chat, messages = "/v1/chat/completions", "/main/v1/messages"
	f(chat, "fake:chunks=10,cut-after=3", "upstream_truncated", "upstream_truncated", `data: {"error":`)
	f(chat, "fake:chunks=10,cut-after=3,cut-mid", "upstream_truncated", "upstream_truncated", `data: {"error":`)
	f(chat, "fake:chunks=10,stall-after=3", "upstream_timeout", "upstream_timeout", `data: {"error":`)
	f("/v1/responses", "fake:chunks=10,cut-after=3", "upstream_truncated", "upstream_truncated", `data: {"error":`)
	f(messages, "fake:chunks=10,cut-after=3", "upstream_truncated", "upstream_truncated", "event: error\ndata: {\"type\":\"error\"")
	if a := h.do("POST", chat, chatBody("fake:no-done", true)); a.err != nil || strings.Contains(a.body, "error") {
		t.Errorf("a provider without [DONE]: %v %q", a.err, a.body)
	}
	if a := h.do("POST", chat, chatBody("fake:error-event", true)); a.err != nil || strings.Count(a.body, `"error"`) != 1 {
		t.Errorf("a provider's own error event: %v %q", a.err, a.body)
	}
	if r := h.records(n + 2)[n+1]; r["outcome"] != "upstream_error" || r["error_code"] != nil {
		t.Errorf("a provider's own error event: record %v", r)
	}
	if a := h.do("POST", chat, chatBody("fake:trickle", true)); a.err != nil || !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		t.Errorf("a byte at a time: %v %q", a.err, a.body)
	}
}

// TestAborts lets a thousand clients of two tenants leave at random moments,
// among others that stay.
func TestAborts(t *testing.T) {
	h := newHouse(t)
	h.tenant("other")
	h.store("other", "main", "default", "sk-other")
	mine, theirs := h.token, h.mint("other", directory.NewToken{})
	tags := map[string]string{mine: sha(mainKey)[:8], theirs: sha("sk-other")[:8]}
	h.stay(t, mine, tags[mine]) // starts what runs for good
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	idle := h.client.Idle()
	goroutines, descriptors := runtime.NumGoroutine()-idle, openDescriptors(t)-2*idle

	const aborts, workers = 1000, 25
	var mu sync.Mutex
	closedAt := map[string]time.Time{}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range aborts / workers {
				token := []string{mine, theirs}[(w+i)%2]
				model := fmt.Sprintf("fake:whoami,chunks=1000,gap=3ms,n%d-%d", w, i)
				at := h.abort(t, token, tags[token], model, w*aborts+i)
				mu.Lock()
				closedAt[model] = at
				mu.Unlock()
				h.stay(t, token, tags[token])
			}
		})
	}
	all.Wait()
	var worst time.Duration
	late := 0
	for _, r := range h.leavers(aborts) {
		d := r.LeftAt.Sub(closedAt[r.Model])
		if worst = max(worst, d); d > usual {
			late++
		}
		if d > tolerated {
			t.Errorf("%s was left after %v", r.Model, d)
		}
	}
	t.Logf("1,000 aborts: the provider was left after %v at worst", worst)
	if late > aborts/10 {
		t.Errorf("after %d of %d aborts the provider was left later than %v", late, aborts, usual)
	}
	if n := len(h.records(2*aborts + 1)); n != 2*aborts+1 {
		t.Errorf("%d records of %d requests", n, 2*aborts+1)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	// fasthttp keeps the goroutines of closed connections for ten seconds.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// Idle connections to the provider are the pool's: two descriptors each
		// in this process, and the provider's goroutine.
		idle := h.client.Idle()
		g, d := runtime.NumGoroutine()-idle-goroutines, openDescriptors(t)-2*idle-descriptors
		if g <= 0 && d <= 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d descriptors more than before", g, d)
		}
	}
}

// abort begins a stream, reads some of it and leaves.
func (h *house) abort(t *testing.T, token, tag, model string, seed int) time.Time {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	body := chatBody(model, true)
	c, r := h.dial(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body))
	defer c.Close()
	time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
	for range random.IntN(40) {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Errorf("the stream broke off: %v", err)
			break
		}
		if strings.Contains(line, `"content":"`) && !strings.Contains(line, `"content":""`) && !strings.Contains(line, tag) {
			t.Errorf("a chunk of another tenant: %s", line)
		}
	}
	h.arrivedQuietly(model)
	at := time.Now()
	_ = c.Close()
	return at
}

// arrivedQuietly waits until the provider has begun to answer: a client that
// leaves sooner leaves nobody to cancel.
func (h *house) arrivedQuietly(model string) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if h.provider.Has(model) {
			return
		}
	}
}

// stay makes an ordinary call and checks that the answer is the tenant's.
func (h *house) stay(t *testing.T, token, tag string) {
	a := h.do("POST", "/v1/chat/completions", chatBody("fake:whoami", false), "Authorization", "Bearer "+token)
	if a.status != 200 || !strings.Contains(a.body, tag) {
		t.Errorf("%d %s %v", a.status, a.body, a.err)
	}
}

// leavers waits until the provider was left n times.
func (h *house) leavers(n int) []fakeprovider.Request {
	var found []fakeprovider.Request
	h.eventually(fmt.Sprintf("%d closes", n), func() bool {
		found = slices.DeleteFunc(h.provider.Requests(), func(r fakeprovider.Request) bool { return r.LeftAt.IsZero() })
		return len(found) >= n
	})
	return found
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestNothingIsWrittenDown searches every file and the log for what must not
// be there.
func TestNothingIsWrittenDown(t *testing.T) {
	h := newHouse(t)
	for _, model := range []string{"m", "fake:status=500", "fake:refuse", "fake:header-echo", "fake:garbage"} {
		h.chat(model)
		h.do("POST", "/v1/chat/completions", chatBody(model, true))
	}
	h.do("POST", "/v1/chat/completions", `{"model":"a prompt to be kept secret","messages":[]}`)
	h.do("POST", "/v1/chat/completions", `{"model":"m","x": a prompt to be kept secret`)
	h.do("GET", "/v1/a prompt to be kept secret", "")
	h.records(13)
	all := []byte(h.logText())
	err := filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{mainKey, secondKey, h.token, "kept secret", "fake provider: you are"} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%q is written down", secret)
		}
	}
	if !bytes.Contains(all, []byte("upstream_unreachable")) {
		t.Error("the search finds nothing at all")
	}
}

// TestUploadIsNotHeld streams more than the limit of a held body, and sees
// that it does not grow the heap.
func TestUploadIsNotHeld(t *testing.T) {
	h := newHouse(t, func(o *options) { o.maxBody = 1 << 20 })
	const size = 128 << 20
	head := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	tail := "\r\n--b--\r\n"
	c, r := h.dial(fmt.Sprintf("POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s",
		h.token, len(head)+size+len(tail), head))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range size / len(block) {
		if _, err := c.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(c, tail)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(response.Body)
	runtime.ReadMemStats(&after)
	if response.StatusCode != 200 || !strings.Contains(string(answer), fmt.Sprintf(`"bytes":%d`, size)) {
		t.Errorf("%d %s", response.StatusCode, answer)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size/2 {
		t.Errorf("the heap grew by %d MiB for an upload of %d", grown>>20, size>>20)
	}
}

// TestQuestionEndsWithItsClient: a question about usage ends when its client
// leaves, while the store is still at work.
func TestQuestionEndsWithItsClient(t *testing.T) {
	h := newHouse(t)
	c, _ := h.dial(fmt.Sprintf("GET /v1/usage?slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", h.token))
	<-h.asked
	_ = c.Close()
	select {
	case <-h.askerLeft:
	case <-time.After(10 * time.Second):
		t.Error("the question goes on")
	}
}
