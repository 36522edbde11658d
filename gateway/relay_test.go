package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/directory"
)

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestBodyArrivesByteForByte: whatever a client writes that is JSON arrives as
// it was written.
func TestBodyArrivesByteForByte(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{
		chatBody("gpt-4o", false),
		"\n{ \"unknown\" : [ 1.0e+2 , 12345678901234567890123 ],\t\"model\":\"gpt-4o\" , \"u\":\"\\u00e9\\ud83d\\ude00 é\", \"unknown\":2 }  \r\n",
		`{"model":"gpt-4o","pad":"` + strings.Repeat("0123456789", 100_000) + `"}`,
		`{"model":"meta-llama/llama-3","prefix":"of no provider"}`,
	} {
		if a := h.do("POST", "/v1/chat/completions?x=1&y=%20z", body); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		all := h.provider.Requests()
		got := all[len(all)-1]
		if got.BodySHA256 != sha(body) || got.RawQuery != "x=1&y=%20z" {
			t.Errorf("body of %d bytes arrived as %d bytes, query %q", len(body), got.BodyBytes, got.RawQuery)
		}
	}
	// The same through a chunked body, and with a prefix that is cut out.
	const named = "{ \"model\" : \"second\\/gpt\\u002d4o\" ,\"big\":12345678901234567890, \"messages\":[{\"role\":\"user\",\"content\":\"x\"}] }"
	a := h.do("POST", "/v1/chat/completions", named)
	all := h.provider.Requests()
	if want := sha(strings.Replace(named, "second\\/", "", 1)); a.status != 200 || all[len(all)-1].BodySHA256 != want {
		t.Errorf("%d, body %q", a.status, all[len(all)-1].Body)
	}
}

// TestAnswerArrivesByteForByte compares answers with those that the provider
// gives without us.
func TestAnswerArrivesByteForByte(t *testing.T) {
	h := newHouse(t)
	speech := h.do("POST", "/v1/audio/speech", `{"model":"fake:big=3000000","input":"hi"}`)
	want := make([]byte, 3_000_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	if speech.body != string(want) || speech.header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("audio of %d bytes, %s", len(speech.body), speech.header.Get("Content-Type"))
	}
	for _, model := range []string{"fake:big=100", "fake:big=70000", "fake:big=2000000"} {
		if a := h.chat(model); a.status != 200 || !strings.Contains(a.body, `"content":"xxx`) || !strings.HasSuffix(a.body, "}") {
			t.Errorf("%s: %d, %d bytes, %v", model, a.status, len(a.body), a.err)
		}
	}
	if a := h.chat("fake:gzip", "Accept-Encoding", "identity"); a.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(a.body, "\x1f\x8b") {
		t.Errorf("a compressed answer came as %v %.10q", a.header, a.body)
	}
	if a := h.chat("fake:interim"); a.status != 200 {
		t.Errorf("behind an interim answer: %d", a.status)
	}
	if a := h.do("HEAD", "/v1/models", ""); a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %q %v", a.status, a.body, a.header)
	}
	const raw = "data: {\"b\":1, \"a\":\"\\u00e9\"}\n\n: a comment\r\n\r\nevent: x\ndata: \xff not JSON\n\ndata: [DONE]\n\n"
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, b := range []byte(raw) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer odd.Close()
	if a := newHouse(t, func(o *options) { o.provider = odd.URL + "/v1" }).do("POST", "/v1/chat/completions", chatBody("m", true)); a.body != raw || a.err != nil {
		t.Errorf("a stream came as %q, %v", a.body, a.err)
	}
	stream := h.do("POST", "/v1/chat/completions", chatBody("fake:chunks=50", true))
	if n := strings.Count(stream.body, "data: "); n != 53 || !strings.HasSuffix(stream.body, "data: [DONE]\n\n") {
		t.Errorf("%d events, end %.40q", n, stream.body[max(0, len(stream.body)-40):])
	}
	if stream.header.Get("X-Accel-Buffering") != "no" || stream.header.Get("Content-Length") != "" {
		t.Errorf("stream with headers %v", stream.header)
	}
}

func TestEveryMethodAndUploadPasses(t *testing.T) {
	h := newHouse(t)
	f := func(method, path, body string) {
		t.Helper()
		if a := h.do(method, path, body); a.status != 200 {
			t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	f("GET", "/v1/models", "")
	f("GET", "/v1/models/gpt-4o", "")
	f("DELETE", "/v1/responses/resp_1", "")
	f("POST", "/v1/responses/resp_1/cancel", "")
	f("POST", "/second/v1/embeddings", `{"model":"e","input":["a","b"]}`)
	f("POST", "/v1/moderations", `{"input":"x"}`)
	for _, path := range []string{
		"/chat/completions", "/completions", "/responses", "/messages", "/embeddings", "/files", "/audio/speech", "/audio/transcriptions", "/images/generations", "/images/edits",
		"/of/another/year",
	} {
		h.do("POST", "/v1"+path, `{"model":"m","input":"x"}`) // what the double makes of it is its own business
		if all := h.provider.Requests(); all[len(all)-1].Path != "/v1"+path {
			t.Errorf("POST /v1%s: the provider got %s last", path, all[len(all)-1].Path)
		}
	}

	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("purpose", "batch")
	part, _ := m.CreateFormFile("file", "a.bin")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	_, _ = part.Write(content)
	_ = m.Close()
	for _, known := range []bool{true, false} { // with a length, and chunked
		var body io.Reader = bytes.NewReader(b.Bytes())
		if !known {
			body = struct{ io.Reader }{body}
		}
		request, _ := http.NewRequest(http.MethodPost, "http://"+h.addr+"/v1/files", body)
		request.Header.Set("Content-Type", m.FormDataContentType())
		request.Header.Set("Authorization", "Bearer "+h.token)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if !strings.Contains(string(answer), sha(string(content))) {
			t.Errorf("upload (length known: %v): %s", known, answer)
		}
	}
}

// TestHeadersPassByAllowList: nothing that authenticates, and nothing of ours,
// reaches the provider; nothing unknown, and no credential, the client.
func TestHeadersPassByAllowList(t *testing.T) {
	h := newHouse(t)
	a := h.chat("fake:header-echo", "X-Api-Key", h.token, "Api-Key", "k", "X-Goog-Api-Key", "k", "Cookie", "c=1", "Proxy-Authorization", "Basic x",
		"Ownkey-Memory", "off", "X-Forwarded-For", "10.0.0.1", "OpenAI-Organization", "org-of-somebody", "Accept-Encoding", "gzip",
		"OpenAI-Beta", "assistants=v2", "X-Client-Request-Id", "mine", "X-Stainless-Lang", "python", "X-Stainless-Retry-Count", "1", "User-Agent", "OpenAI/Python")
	got := h.provider.Requests()[0].Header
	for name := range got {
		switch name {
		case "Authorization", "Content-Type", "Content-Length", "Accept-Encoding", "Openai-Beta", "X-Client-Request-Id", "X-Stainless-Lang", "X-Stainless-Retry-Count", "User-Agent":
		default:
			t.Errorf("the provider got %s: %v", name, got[name])
		}
	}
	if got.Get("Authorization") != "Bearer "+mainKey || got.Get("Accept-Encoding") != "identity" || got.Get("User-Agent") != "OpenAI/Python" {
		t.Errorf("the provider got %v", got)
	}
	for name, values := range a.header {
		if strings.Contains(strings.Join(values, ","), mainKey) {
			t.Errorf("the credential is in %s", name)
		}
		switch name {
		case "Date", "Content-Type", "Content-Length", "X-Request-Id", "Openai-Organization", "Openai-Processing-Ms", "Openai-Version",
			"Ownkey-Request-Id", "Ownkey-Memory", "Ownkey-Provider", "Ownkey-Credential", "Server-Timing":
		default:
			if !strings.HasPrefix(name, "X-Ratelimit-") {
				t.Errorf("the client got %s: %v", name, values)
			}
		}
	}
	if a.header.Get("Ownkey-Provider") != "main" || a.header.Get("Ownkey-Credential") != "default;v=1" || a.header.Get("Ownkey-Memory") != "off" {
		t.Errorf("the client got %v", a.header)
	}
	if r := h.records(1)[0]; r["sdk"] != "python" || r["sdk_retries"] != 1.0 || r["provider_organization"] != a.header.Get("Openai-Organization") {
		t.Errorf("record %v", r)
	}
}

func TestRouting(t *testing.T) {
	h := newHouse(t)
	second, routes := "main", []directory.Route{{Model: "llama-*", Provider: "second"}, {Model: "claude-special", Provider: "second"}}
	if _, err := h.directory.UpdateTenant(context.Background(), "acme", directory.TenantChange{DefaultProvider: &second, Routes: &routes}); err != nil {
		t.Fatal(err)
	}
	f := func(path, model, provider, arrived string, header ...string) {
		t.Helper()
		a := h.do("POST", path, fmt.Sprintf(`{"model":%q,"messages":[]}`, model), header...)
		all := h.provider.Requests()
		if a.header.Get("Ownkey-Error") != "" || a.header.Get("Ownkey-Provider") != provider || all[len(all)-1].Model != arrived {
			t.Errorf("%s %s: %d from %q, arrived as %q", path, model, a.status, a.header.Get("Ownkey-Provider"), all[len(all)-1].Model)
		}
	}
	f("/v1/messages", "claude-4", "main", "claude-4") // no credential for anthropic yet
	h.store("acme", "anthropic", "default", "sk-other")
	h.provider.Forget()
	f("/v1/chat/completions", "gpt-4o", "main", "gpt-4o")
	f("/v1/chat/completions", "llama-3", "second", "llama-3")
	f("/v1/chat/completions", "second/gpt-4o", "second", "gpt-4o")
	f("/second/v1/chat/completions", "main/gpt-4o", "second", "main/gpt-4o") // pinned: the name is the provider's own business
	f("/v1/messages", "claude-4", "anthropic", "claude-4", "Anthropic-Version", "2023-06-01")
	f("/v1/messages", "claude-special", "second", "claude-special", "Anthropic-Version", "2023-06-01")
	f("/v1/messages", "claude-4", "anthropic", "claude-4") // the path says so by itself
	f("/v1/messages", "claude-special", "second", "claude-special")
	all := h.provider.Requests()
	if got := all[4].Header; got.Get("X-Api-Key") != "sk-other" || got.Get("Authorization") != "" {
		t.Errorf("Anthropic got %v", got)
	}
}

func TestCredentialIsChosenByLabel(t *testing.T) {
	h := newHouse(t)
	h.store("acme", "main", "team-b", "sk-other")
	a := h.chat("fake:whoami", "Ownkey-Credential", "team-b")
	if a.header.Get("Ownkey-Credential") != "team-b;v=1" || !strings.Contains(a.body, sha("sk-other")[:8]) {
		t.Errorf("%v %s", a.header, a.body)
	}
}

// TestResponsesSayWhatHappened: each response has the call's id, where it went,
// with which credential, and its times; an error says whose it is.
func TestResponsesSayWhatHappened(t *testing.T) {
	h := newHouse(t)
	timing := regexp.MustCompile(`^auth;dur=\d+\.\d{3}, unseal;dur=\d+\.\d{3}, recall;dur=\d+\.\d{3}, upstream;dur=\d+\.\d{3}$`)
	f := func(body string, status int, code string) {
		t.Helper()
		a := h.do("POST", "/v1/chat/completions", body)
		if _, err := uuid.Parse(a.header.Get("Ownkey-Request-Id")); err != nil || a.status != status || a.header.Get("Ownkey-Error") != code {
			t.Errorf("%s: %d %v", body, a.status, a.header)
		}
		if code == "" && (a.header.Get("Ownkey-Provider") != "main" || a.header.Get("Ownkey-Credential") != "default;v=1" || !timing.MatchString(a.header.Get("Server-Timing"))) {
			t.Errorf("%s: %v", body, a.header)
		}
	}
	f(chatBody("m", false), 200, "")
	f(chatBody("m", true), 200, "")
	f(chatBody("fake:status=429", false), 429, "")
	f(`{"model":"m","model":"n"}`, 400, "invalid_request")
}
