package gateway_test

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
)

// Each limit refuses with its own code, says when to come again, and is
// recorded; none of the refused calls reaches the provider.
func TestLimitsRefuse(t *testing.T) {
	h := newHouse(t)
	f := func(name string, l directory.Limits, body string, status int, code string) {
		t.Helper()
		token := h.mint("acme", directory.NewToken{Label: name, Limits: l})
		before := len(h.provider.Requests())
		var a answer
		served := 0
		for a.status != status && served < 20 {
			a = h.do("POST", "/v1/chat/completions", body, "Authorization", "Bearer "+token)
			served++
		}
		if a.status != status || a.code() != code {
			t.Errorf("%s: after %d calls %d %s", name, served, a.status, a.body)
			return
		}
		if got := len(h.provider.Requests()) - before; got != served-1 {
			t.Errorf("%s: %d calls at the provider, %d were let in", name, got, served-1)
		}
		if status != http.StatusTooManyRequests {
			return
		}
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		ms, err2 := strconv.Atoi(a.header.Get("Retry-After-Ms"))
		if err != nil || err2 != nil || seconds < 1 || ms > seconds*1000+1 {
			t.Errorf("%s: Retry-After %q, in ms %q", name, a.header.Get("Retry-After"), a.header.Get("Retry-After-Ms"))
		}
		if got := a.header.Get("Ownkey-Ratelimit"); !strings.Contains(got, ";scope=token;limit=") || !strings.Contains(got, ";reset=") {
			t.Errorf("%s: limit header %q", name, got)
		}
		if got := a.header.Get("X-Should-Retry"); (got == "false") != (code == "budget_exhausted") {
			t.Errorf("%s: X-Should-Retry %q", name, got)
		}
	}
	all := directory.Limits{RequestsPerSecond: 5, TokensPerMinute: 1000, TokensPerDay: 2000, TokensPerMonth: 3000}
	a := h.chat("gpt-4o-mini", "Authorization", "Bearer "+h.mint("acme", directory.NewToken{Label: "all", Limits: all}))
	for _, item := range []string{"requests_per_second;scope=token;limit=5;", "tokens_per_minute;scope=token;limit=1000;", "tokens_per_day;scope=token;limit=2000;", "tokens_per_month;scope=token;limit=3000;"} {
		if got := a.header.Get("Ownkey-Ratelimit"); a.status != 200 || !strings.Contains(got, item) {
			t.Errorf("an answer has no item %s: %d %q", item, a.status, got)
		}
	}
	for rate, item := range map[float64]string{0.1: "limit=0.1;remaining=0;", 2.5: "limit=2.5;remaining=1;"} { // as it was set, not what may come at once
		token := h.mint("acme", directory.NewToken{Label: "fraction", Limits: directory.Limits{RequestsPerSecond: rate, TokensPerDay: 1e15}})
		for range 3 {
			a := h.chat("gpt-4o-mini", "Authorization", "Bearer "+token)
			if got := a.header.Get("Ownkey-Ratelimit"); !strings.Contains(got, "requests_per_second;scope=token;"+item) || a.status == 200 && !strings.Contains(got, "limit=1000000000000000;") {
				t.Errorf("a rate of %v is shown as %q", rate, got)
			}
			item, _, _ = strings.Cut(item, "remaining")
		}
	}
	const small = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`
	f("rate", directory.Limits{RequestsPerSecond: 0.05}, small, 429, "rate_limited")
	f("tokens", directory.Limits{TokensPerMinute: 100}, small, 429, "rate_limited")
	f("day", directory.Limits{TokensPerDay: 40}, small, 403, "budget_exhausted")
	f("month", directory.Limits{TokensPerMonth: 40}, small, 403, "budget_exhausted")
	f("body", directory.Limits{BodyBytes: 100}, `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"`+strings.Repeat("x", 100)+`"}]}`, 413, "too_large")
	upload := h.mint("acme", directory.NewToken{Label: "upload", Limits: directory.Limits{BodyBytes: 100}})
	for size, refused := range map[int]bool{100: false, 101: true} { // the provider reads no such upload
		if a := h.do("POST", "/v1/files", strings.Repeat("x", size), "Authorization", "Bearer "+upload, "Content-Type", "application/octet-stream"); (a.code() == "too_large") != refused {
			t.Errorf("an upload of %d bytes: %d %s", size, a.status, a.body)
		}
	}
	f("answer asked for", directory.Limits{TokensPerMinute: 1000}, strings.Replace(small, "{", `{"max_tokens":900,`, 1), 429, "rate_limited")
}

// Calls in flight and streams are bounded while they last.
func TestLimitsOfWhatIsOpen(t *testing.T) {
	h := newHouse(t)
	token := h.mint("acme", directory.NewToken{Label: "open", Limits: directory.Limits{RequestsInFlight: 2, Streams: 1}})
	open := func() *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+h.addr+"/v1/chat/completions",
			strings.NewReader(`{"model":"fake:chunks=1000,gap=20ms","stream":true,"messages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := open()
	defer first.Body.Close()
	if _, err := bufio.NewReader(first.Body).ReadString('\n'); err != nil || first.StatusCode != 200 {
		t.Fatal(first.Status, err)
	}
	h.eventually("a body that was sent is no longer held", func() bool { return h.gateway.HeldBytes() == 0 })
	second := open()
	second.Body.Close()
	if second.StatusCode != 429 || second.Header.Get("Ownkey-Error") != "too_many_requests_in_flight" || !strings.HasPrefix(second.Header.Get("Ownkey-Ratelimit"), "streams;scope=token;limit=1;remaining=0") {
		t.Errorf("a second stream: %s %v", second.Status, second.Header)
	}
	if after := second.Header.Get("Retry-After"); after != "1" {
		t.Errorf("nobody knows when a stream ends: Retry-After %q", after)
	}
	if a := h.do("GET", "/v1/models", "", "Authorization", "Bearer "+token); a.status != 200 {
		t.Errorf("a call beside it: %d %s", a.status, a.body)
	}
	first.Body.Close()
	h.eventually("the place comes back", func() bool {
		third := open()
		third.Body.Close()
		return third.StatusCode == 200
	})
}

// What streams report, or would, counts: the budget is spent although nobody
// asked for usage.
func TestStreamsCountForBudgets(t *testing.T) {
	h := newHouse(t)
	token := h.mint("acme", directory.NewToken{Label: "streams", Limits: directory.Limits{TokensPerDay: 300}})
	var a answer
	n := 0
	for ; n < 30 && a.status != 403; n++ {
		a = h.do("POST", "/v1/chat/completions", `{"model":"fake:chunks=50","stream":true,"messages":[]}`, "Authorization", "Bearer "+token)
	}
	if a.code() != "budget_exhausted" || n < 3 || n > 8 {
		t.Errorf("after %d streams of 50 chunks: %d %s", n, a.status, a.body)
	}
}

func TestStoppedToken(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	plain, token, err := h.directory.CreateToken(ctx, "acme", directory.NewToken{Label: "wild"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() answer { return h.chat("gpt-4o-mini", "Authorization", "Bearer "+plain) }
	if a := ask(); a.status != 200 {
		t.Fatal(a.status)
	}
	if _, err := h.directory.StopToken(ctx, "acme", token.ID, "runaway: 9 tokens in a minute"); err != nil {
		t.Fatal(err)
	}
	if a := ask(); a.status != 403 || a.code() != "token_stopped" {
		t.Errorf("stopped: %d %s", a.status, a.body)
	}
	if _, err := h.directory.ResumeToken(ctx, "acme", token.ID); err != nil {
		t.Fatal(err)
	}
	if a := ask(); a.status != 200 {
		t.Errorf("resumed: %d %s", a.status, a.body)
	}
}

// When all places are taken, a request waits for one, and is served when it
// comes in time.
func TestRequestsWaitForRoom(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.admit = admission.Options{Settings: admission.Settings{MaxInFlight: 1, QueueTime: 10 * time.Second}}
	})
	answers := make(chan answer, 4)
	for _, id := range []string{"a", "b", "c", "d"} {
		h.tenant(id)
		h.store(id, "main", "default", mainKey)
		token := h.mint(id, directory.NewToken{})
		go func() { answers <- h.chat("main/fake:delay=100ms", "Authorization", "Bearer "+token) }()
	}
	for range 4 {
		if a := <-answers; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	requests := h.provider.Requests()
	for i := 1; i < len(requests); i++ {
		if apart := requests[i].Arrived.Sub(requests[i-1].Arrived); apart < 90*time.Millisecond {
			t.Errorf("two at once: %s apart", apart)
		}
	}
}
