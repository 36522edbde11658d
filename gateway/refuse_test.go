package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway"
	"github.com/ownkey/ownkey/upstream"
)

func TestRefusals(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.maxBody = 1 << 20
		o.limits = upstream.Limits{Connect: time.Second, FirstByte: 150 * time.Millisecond, Idle: 150 * time.Millisecond}
	})
	n, strangers := 0, 0
	f := func(name string, a answer, status int, code string) {
		t.Helper()
		if n++; code == "invalid_token" {
			strangers++
		}
		if told := a.header.Get("X-Should-Retry"); status < 500 && (told == "false") != (status == 401 || status == 403 || status == 412) {
			t.Errorf("%s: %d with X-Should-Retry %q", name, status, told)
		}
		if a.status != status || a.code() != code {
			t.Errorf("%s: got %d %s %v, want %d %s", name, a.status, a.body, a.err, status, code)
		}
		if a.header.Get("Ownkey-Request-Id") == "" {
			t.Errorf("%s: no request id", name)
		}
	}
	chat := func(body string, headers ...string) answer {
		return h.do("POST", "/v1/chat/completions", body, headers...)
	}
	f("no token", chat("{}", "Authorization", ""), 401, "invalid_token")
	f("bad token", chat("{}", "Authorization", "Bearer ok_"+strings.Repeat("0", 50)), 401, "invalid_token")
	f("provider key sent by mistake", chat("{}", "Authorization", "Bearer sk-test"), 401, "invalid_token")
	f("no such path", h.do("GET", "/index.html", ""), 404, "not_found")
	f("no version", h.do("GET", "/main/models", ""), 404, "not_found")
	f("climbing path", h.do("GET", "/v1/%2e%2e/admin", ""), 404, "not_found")
	f("usage is read only", h.do("POST", "/v1/usage", `{}`), 501, "not_supported")
	f("usage, and the store is away", h.do("GET", "/v1/usage?away", ""), 503, "store_unavailable")
	f("unknown provider", h.do("GET", "/nobody/v1/models", ""), 400, "unknown_provider")
	f("not JSON", chat("hello"), 400, "invalid_request")
	f("JSON of the wrong type", chat(`["model"]`), 400, "invalid_request")
	f("model of the wrong type", chat(`{"model":7}`), 400, "invalid_request")
	f("deep nesting", chat(`{"model":"m","x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+"}"), 400, "invalid_request")
	f("duplicate keys", chat(`{"model":"a","model":"b"}`), 400, "invalid_request")
	f("invalid UTF-8", chat("{\"model\":\"\xff\"}"), 400, "invalid_request")
	f("truncated", chat(`{"model":"m","x`), 400, "invalid_request")
	f("compressed JSON that is none", chat("{}", "Content-Encoding", "gzip"), 400, "invalid_request")
	f("70 MiB of one string", chat(`{"model":"`+strings.Repeat("x", 70<<20)+`"}`), 413, "too_large")
	f("no credential", h.do("POST", "/anthropic/v1/chat/completions", `{"model":"m"}`), 412, "credential_missing")
	mistyped := chat(`{"model":"m"}`, "Ownkey-Credential", "nope")
	f("no such label", mistyped, 412, "credential_missing")
	if !strings.Contains(mistyped.body, "Ownkey-Credential") || strings.Contains(mistyped.body, "credential put") { // which would replace a good one
		t.Errorf("a label that is not there: %s", mistyped.body)
	}
	f("provider away", h.do("GET", "/dead/v1/models", ""), 502, "upstream_unreachable")
	f("provider hangs up", h.chat("fake:refuse"), 502, "upstream_unreachable")
	f("provider speaks something else", h.chat("fake:garbage"), 502, "upstream_invalid")
	f("provider cuts a short answer", h.chat("fake:lie-length"), 502, "upstream_truncated")
	silent := h.chat("fake:stall")
	f("provider is silent", silent, 504, "upstream_timeout")
	if silent.header.Get("X-Should-Retry") != "false" {
		t.Error("an SDK would repeat a call that the provider may have billed")
	}
	if a := h.chat("fake:stall", "Authorization", "Bearer placeholder", "X-Api-Key", h.token); a.status != 504 {
		t.Errorf("a placeholder hides the token: %d", a.status)
	}
	n++
	n -= strangers // counted, not recorded
	for _, r := range h.records(n) {
		if r["error_code"] == nil || r["outcome"] == "completed" {
			t.Errorf("record of a refusal: %v", r)
		}
	}
	if got := len(h.records(n)); got != n {
		t.Errorf("%d records of %d requests", got, n)
	}
}

func TestAnthropicPathsGetAnthropicsShape(t *testing.T) {
	h := newHouse(t)
	a := h.do("POST", "/v1/messages/count_tokens", "{}", "Authorization", "", "X-Api-Key", "sk-ant-mine")
	want := `{"type":"error","error":{"type":"authentication_error","message":"`
	if a.status != 401 || !strings.HasPrefix(a.body, want) || !strings.Contains(a.body, `"request_id":"`+a.header.Get("Ownkey-Request-Id")) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestProviderErrorsPassAsTheyAre(t *testing.T) {
	h := newHouse(t)
	for _, status := range []int{400, 401, 403, 404, 409, 422, 429, 500, 503} {
		a := h.chat(fmt.Sprintf("fake:status=%d,retry-after=7", status))
		if a.status != status || !strings.Contains(a.body, `"code":"fake_error"`) || a.header.Get("Ownkey-Error") != "" || a.header.Get("Retry-After") != "7" {
			t.Errorf("%d: got %d %v %s", status, a.status, a.header, a.body)
		}
	}
}

func TestTokenLimitsWhatItMayAsk(t *testing.T) {
	h := newHouse(t)
	full := h.token
	h.token = h.mint("acme", directory.NewToken{Models: []string{"gpt-4o*", "second/llama-3"}})
	f := func(path, body string, want int) {
		t.Helper()
		if a := h.do("POST", path, body); a.status != want || want == 403 && a.code() != "not_allowed" {
			t.Errorf("%s %s: %d %s", path, body, a.status, a.body)
		}
	}
	f("/v1/chat/completions", `{"model":"gpt-4o-mini"}`, 200)
	f("/v1/chat/completions", `{"model":"second/llama-3"}`, 200)
	f("/v1/chat/completions", `{"model":"llama-3"}`, 403)
	f("/v1/chat/completions", `{"model":"o3"}`, 403)
	f("/v1/chat/completions", `{"messages":[]}`, 403)
	f("/v1/chat/completions", `{"m\u006fdel":"o3"}`, 403)
	if a := h.do("POST", "/v1/files", "--x", "Content-Type", "multipart/form-data; boundary=x"); a.status != 403 {
		t.Errorf("an upload that could name any model: %d", a.status)
	}
	if a := h.do("GET", "/v1/models", ""); a.status != 200 {
		t.Errorf("the list of models: %d", a.status)
	}
	h.token = h.mint("acme", directory.NewToken{Scopes: []string{directory.ScopeMemory}})
	f("/v1/chat/completions", `{"model":"gpt-4o-mini"}`, 403)
	h.token = full
	f("/v1/chat/completions", `{"model":"o3"}`, 200)
}

func TestRevokedTokenStops(t *testing.T) {
	h := newHouse(t)
	token, row, err := h.directory.CreateToken(context.Background(), "acme", directory.NewToken{Label: "short"})
	if err != nil {
		t.Fatal(err)
	}
	h.token = token
	if a := h.chat("m"); a.status != 200 {
		t.Fatalf("%d", a.status)
	}
	if err := h.directory.RevokeToken(context.Background(), "acme", row.ID); err != nil {
		t.Fatal(err)
	}
	if a := h.chat("m"); a.status != 401 {
		t.Errorf("a revoked token got %d", a.status)
	}
}

// TestMovedCiphertextDoesNotOpen swaps what an intruder with the database
// could swap. Nothing is sent.
func TestMovedCiphertextDoesNotOpen(t *testing.T) {
	h := newHouse(t)
	h.tenant("other")
	h.store("other", "main", "default", "sk-other")
	h.store("acme", "main", "second", secondKey)
	swap := func(name, set, where string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			tx, err := h.database.Write.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("UPDATE counter SET revision = revision + 1"); err != nil {
				t.Fatal(err)
			}
			r, err := tx.Exec("UPDATE credentials SET " + set + ", revision = (SELECT revision FROM counter) WHERE " + where)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := r.RowsAffected(); n == 0 {
				t.Fatal("no row was changed")
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			before := len(h.provider.Requests())
			h.eventually("the moved row is refused", func() bool {
				a := h.chat("m")
				return a.status == 412 && a.code() == "credential_unusable"
			})
			refusedFrom := len(h.provider.Requests())
			if a := h.chat("m"); a.status != 412 || len(h.provider.Requests()) != refusedFrom {
				t.Errorf("%d, and the provider was called (%d, %d)", a.status, before, refusedFrom)
			}
		})
	}
	const acme = "tenant_id = 'acme' AND provider = 'main' AND label = 'default'"
	swap("another tenant's", "sealed = (SELECT sealed FROM credentials WHERE tenant_id = 'other')", acme)
	h.store("acme", "main", "default", mainKey)
	swap("another credential's", "sealed = (SELECT sealed FROM credentials WHERE label = 'second')", acme)
	h.store("acme", "main", "default", mainKey)
	swap("to another host", "base_url = 'http://127.0.0.1:9/v1', host = '127.0.0.1:9'", acme)
	h.store("acme", "main", "default", mainKey)
	swap("to another address in the row only", "host = '127.0.0.1:9'", acme)
}

// TestBadHTTP sends what no client library would.
func TestBadHTTP(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.timeouts = gateway.Timeouts{ClientHeader: 300 * time.Millisecond, ClientIdle: 300 * time.Millisecond, ClientSilence: 300 * time.Millisecond, ClientWrite: time.Second}
	})
	good := h.raw("/v1/chat/completions", chatBody("m", false))
	auth := "Authorization: Bearer " + h.token + "\r\nContent-Type: application/json\r\n"
	f := func(name, raw string, want string) {
		t.Helper()
		_, r := h.dial(raw)
		line, _ := r.ReadString('\n')
		if !strings.HasPrefix(line, want) || want == "" && line != "" {
			t.Errorf("%s: got %q, want %q", name, line, want)
		}
	}
	const post = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
	f("not HTTP", "hello\r\n\r\n", "HTTP/1.1 400")
	f("header bomb", post+"X: "+strings.Repeat("x", 100_000)+"\r\n\r\n", "HTTP/1.1 431")
	f("many headers", post+strings.Repeat("X: y\r\n", 20_000)+"\r\n", "HTTP/1.1 431")
	f("half a head", "POST /v1/chat", "HTTP/1.1 400")
	f("two lengths", post+auth+"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "HTTP/1.1 400")
	f("length and chunks", post+auth+"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400")
	f("negative length", post+auth+"Content-Length: -1\r\n\r\n", "HTTP/1.1 400")
	f("bad chunks", post+auth+"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400")
	f("less body than announced", post+auth+"Content-Length: 100\r\n\r\n{}", "HTTP/1.1 400")
	f("chunked body", post+auth+"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"mod\r\n9\r\nel\": \"m\"}\r\n0\r\n\r\n", "HTTP/1.1 200")

	_, r := h.dial(good + good + good) // pipelined
	for i := range 3 {
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("pipelined request %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
	}
	slow, sr := h.dial("POST /v1/chat/completions HTTP/1.1\r\n") // slow loris
	began := time.Now()
	for range 50 {
		if _, err := io.WriteString(slow, "X-A: b\r\n"); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, _ = sr.ReadString('\n')
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("a slow head was waited for %v", d)
	}
	if a := h.chat("m"); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
	old, or := h.dial("POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\n" + auth + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(chatBody("fake:chunks=3", true))) + chatBody("fake:chunks=3", true))
	all, err := io.ReadAll(or)
	if err != nil || !strings.Contains(string(all), "data: [DONE]") {
		t.Errorf("HTTP/1.0: %q %v", all, err)
	}
	_ = old.Close()
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
	if a := h.do("GET", "/healthz", "", "Authorization", ""); a.status != 200 {
		t.Errorf("healthz: %d", a.status)
	}
	if a := h.do("GET", "/readyz", "", "Authorization", ""); a.status != 200 || !strings.Contains(a.body, `"store":"ok","keyring":"ok","ledger":"ok"`) {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
}

// TestDrain: a stop lets the request in flight end, and refuses the next.
func TestDrain(t *testing.T) {
	h := newHouse(t)
	_, r := h.dial(h.raw("/v1/chat/completions", chatBody("fake:chunks=10,gap=50ms", true)))
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	kept, kr := h.dial(h.raw("/v1/chat/completions", chatBody("m", false)))
	first, err := http.ReadResponse(kr, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, first.Body)
	done := make(chan error, 1)
	go func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		done <- h.gateway.Shutdown(ctx)
	}()
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "data: [DONE]") {
		t.Errorf("the stream in flight was cut: %v %.100q", err, rest)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(kept, h.raw("/v1/chat/completions", chatBody("m", false)))
	if line, _ := kr.ReadString('\n'); line != "" && !strings.Contains(line, "503") {
		t.Errorf("after the stop: %q", line)
	}
}

// TestDrainIsBounded: whatever holds a request when the time for draining is
// over, it is cut: its record says so, and the gateway is at its end soon.
func TestDrainIsBounded(t *testing.T) {
	announced := func(path, contentType string) func(h *house) string {
		return func(h *house) string {
			return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 100000\r\n\r\n%s", path, h.token, contentType, strings.Repeat(" ", 8000))
		}
	}
	for name, sent := range map[string]func(h *house) string{
		"a stream that stalls": func(h *house) string {
			return h.raw("/v1/chat/completions", chatBody("fake:chunks=10,stall-after=3", true))
		},
		"a provider that does not answer": func(h *house) string { return h.raw("/v1/chat/completions", chatBody("fake:stall", false)) },
		"a response that nobody reads":    func(h *house) string { return h.raw("/v1/chat/completions", chatBody("fake:chunks=200000", true)) },
		"a body that does not end":        announced("/v1/chat/completions", "application/json"),
		"an upload that does not end":     announced("/v1/files", "application/octet-stream"),
		"a memory that does not end":      announced("/v1/buckets/x/memories", "application/json"),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			c, _ := h.dial(sent(h))
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			h.eventually("the call is in flight", func() bool { return h.limiter.InFlight() == 1 })
			ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer stop()
			if err := h.gateway.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if record := h.records(1)[0]; record["outcome"] != "client_cancelled" {
				t.Errorf("record %v", record)
			}
		})
	}
}

// TestSpareConnectionIsClosedInSilence: a connection that sends nothing gets no
// answer, which a client would take for that of its next request; one that
// stops in the middle of a request does.
func TestSpareConnectionIsClosedInSilence(t *testing.T) {
	h := newHouse(t, func(o *options) { o.timeouts.ClientHeader = 200 * time.Millisecond })
	for sent, want := range map[string]string{"": "", "GET /v1/mod": "HTTP/1.1 400 Bad Request"} {
		_, r := h.dial(sent)
		got, err := io.ReadAll(r)
		if err != nil || !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("after %q: %q %v", sent, got, err)
		}
	}
}
