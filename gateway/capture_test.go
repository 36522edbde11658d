package gateway_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// kept lists what a bucket holds, oldest first, as role and content.
func (h *house) kept(bucket string) (all []string) {
	h.t.Helper()
	return h.listed("/v1/buckets/" + bucket + "/memories?limit=100")
}

// keptWithContext lists also what states nothing.
func (h *house) keptWithContext(bucket string) (all []string) {
	h.t.Helper()
	return h.listed("/v1/buckets/" + bucket + "/memories?limit=100&context=true")
}

func (h *house) listed(path string) (all []string) {
	h.t.Helper()
	a := h.do("GET", path, "")
	var out struct {
		Memories []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
			Session string `json:"session"`
		} `json:"memories"`
	}
	if a.status == 404 {
		return nil
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != 200 {
		h.t.Fatalf("%d %s", a.status, a.body)
	}
	for _, m := range slices.Backward(out.Memories) {
		all = append(all, m.Role+": "+m.Content)
	}
	return all
}

func (h *house) keeps(bucket string, want ...string) {
	h.t.Helper()
	var got []string
	h.eventually(fmt.Sprintf("%d memories in %s", len(want), bucket), func() bool {
		got = h.kept(bucket)
		return len(got) >= len(want)
	})
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		h.t.Errorf("%s holds\n%s\nwant\n%s", bucket, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (h *house) captureAssistant() {
	h.t.Helper()
	yes := true
	if _, err := h.directory.UpdateTenant(h.t.Context(), "acme", directory.TenantChange{Memory: &directory.MemoryChange{CaptureAssistant: &yes}}); err != nil {
		h.t.Fatal(err)
	}
}

func TestCapture(t *testing.T) {
	h := newHouse(t)
	h.captureAssistant()
	const hello = "Hello from the fake provider: you are connected."
	capture := func(path, bucket, body string) answer {
		a := h.do("POST", path, body, "Ownkey-Memory", "capture", "Ownkey-Bucket", bucket)
		if a.status != 200 || a.header.Get("Ownkey-Memory") != "off" { // nothing was recalled
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		return a
	}
	capture("/v1/chat/completions", "unary", `{"model":"m","messages":[{"role":"system","content":"never kept"},{"role":"user","content":"I live in Oslo."}]}`)
	h.keeps("unary", "user: I live in Oslo.", "assistant: "+hello)
	capture("/v1/chat/completions", "stream", `{"model":"fake:chunks=3,trickle","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"I live in Rome."},{"type":"image_url","image_url":{"url":"data:,"}}]}]}`)
	h.keeps("stream", "user: I live in Rome.", "assistant: chunk 0 chunk 1 chunk 2 ")
	capture("/v1/responses", "responses", `{"model":"m","input":"I live in Lima.","stream":true}`)
	h.keeps("responses", "user: I live in Lima.", "assistant: "+hello)

	// Coming again, as SDKs do it after an error of the network, it is kept once.
	again := `{"model":"m","messages":[{"role":"user","content":"I live in Bern."}]}`
	capture("/v1/chat/completions", "again", again)
	capture("/v1/chat/completions", "again", again)
	h.keeps("again", "user: I live in Bern.", "assistant: "+hello)
	capture("/v1/chat/completions", "again", `{"model":"m","messages":[{"role":"user","content":"I live in Bern."},{"role":"assistant","content":"Nice."},{"role":"user","content":"I live in Bern."}]}`)
	h.keeps("again", "user: I live in Bern.", "assistant: "+hello, "user: I live in Bern.", "assistant: "+hello)

	// In the loop of a model that uses tools, the user has spoken once.
	capture("/v1/chat/completions", "tools", `{"model":"m","messages":[{"role":"user","content":"Weather?"},{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"never kept"}]}`)
	h.keeps("tools", "assistant: "+hello)

	marker := h.keeper.Marker("acme")
	capture("/v1/chat/completions", "secrets", `{"model":"m","messages":[{"role":"user","content":"key sk-proj-abcdefghijklmnop1234, card 4111 1111 1111 1111, order 4111 1111 1111 1112 `+marker.Open+`recalled`+marker.Close+`"}]}`)
	h.keeps("secrets", "user: key [secret removed], card [secret removed], order 4111 1111 1111 1112", "assistant: "+hello)
}

func TestWhatIsNotCaptured(t *testing.T) {
	h := newHouse(t)
	h.captureAssistant()
	for _, model := range []string{"fake:status=500", "fake:status=401", "fake:garbage"} {
		h.do("POST", "/v1/chat/completions", chatBody(model, false), "Ownkey-Memory", "capture")
	}
	// Of an answer that was cut, the user's turn is kept and no half word of the
	// assistant's.
	h.do("POST", "/v1/chat/completions", strings.Replace(chatBody("fake:chunks=9,cut-after=3", true), "a prompt to be kept secret", "I live in Cork.", 1), "Ownkey-Memory", "capture")
	h.do("POST", "/v1/embeddings", `{"model":"m","input":"not a turn"}`, "Ownkey-Memory", "on")
	h.keeps("default", "user: I live in Cork.")
}

func TestQueryOnTheTenantsModel(t *testing.T) {
	h := newHouse(t)
	h.remembers("Ada keeps bees on the roof of the library.")
	model := func(name string) {
		t.Helper()
		if _, err := h.directory.UpdateTenant(t.Context(), "acme", directory.TenantChange{Memory: &directory.MemoryChange{Synthesis: &name}}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(stream bool) answer {
		return h.do("POST", "/v1/query", fmt.Sprintf(`{"query":"Who keeps bees?","stream":%v}`, stream))
	}
	a := ask(false)
	if a.status != 200 || !strings.Contains(a.body, `"answer":"Hello from the fake`) || !strings.Contains(a.body, `"actual_output_tokens":8`) || !strings.Contains(a.body, "bees on the roof") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if sent := h.sentBody(); !strings.Contains(sent, "bees on the roof") || !strings.Contains(sent, "Who keeps bees?") || !strings.Contains(sent, `"model":"gpt-4o-mini"`) {
		t.Errorf("sent %s", sent)
	}
	if h.retrievals() != 1 || a.header.Get("Ownkey-Memory-Billed") != "true" {
		t.Errorf("%d billed, %v", h.retrievals(), a.header)
	}
	last := h.records(2)[1]
	if last["provider"] != "main" || last["input_tokens"] != 10.0 || last["memory"] != "hit" || last["credential"] == nil {
		t.Errorf("record: %v", last)
	}
	a = ask(true)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") ||
		!strings.HasPrefix(a.body, `data: {"choices":[{"delta":{"content":"Hello`) || !strings.HasSuffix(a.body, "data: [DONE]\n\n") || strings.Count(a.body, `"synthesis_usage"`) != 1 {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	model("fake:status=429,retry-after=7")
	if a = ask(false); a.status != 429 || a.header.Get("Retry-After") != "7" || !strings.Contains(a.body, `"code":"rate_limited"`) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	model("fake:status=401")
	if a = ask(true); a.status != 412 || a.header.Get("Ownkey-Error") != "credential_unusable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	model("fake:chunks=5,cut-after=2")
	if a = ask(true); !strings.Contains(a.body, `data: {"error":"`) || strings.Contains(a.body, "[DONE]") {
		t.Errorf("%d %s %v", a.status, a.body, a.err)
	}
	model("second/fake:whoami")
	if a = ask(false); a.status != 200 || a.header.Get("Ownkey-Provider") != "second" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	model("dead/m")
	if a = ask(false); a.status != 502 || !strings.Contains(a.body, `{"error":"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestQueryWithoutACredential(t *testing.T) {
	h := newHouse(t)
	h.tenant("poor")
	token := h.mint("poor", directory.NewToken{})
	auth := []string{"Authorization", "Bearer " + token}
	if a := h.do("POST", "/v1/buckets/default/memories", `{"content":"Ada keeps bees."}`, auth...); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := h.do("POST", "/v1/query", `{"query":"bees","options":{"skip_synthesis":true}}`, auth...); a.status != 200 || !strings.Contains(a.body, "Ada keeps bees.") {
		t.Errorf("%d %s", a.status, a.body)
	}
	before := h.retrievals()
	for _, call := range [][2]string{{"/v1/query", `{"query":"bees"}`}, {"/v1/buckets/default/profile/regenerate", ""}} {
		a := h.do("POST", call[0], call[1], auth...)
		if a.status != 412 || !strings.Contains(a.body, "ownkey credential put") || a.header.Get("Ownkey-Error") != "credential_missing" {
			t.Errorf("%s: %d %s", call[0], a.status, a.body)
		}
	}
	if h.retrievals() != before {
		t.Error("a query that could not be answered was billed")
	}
}

func TestEmbeddingsAndFactsByTheTenantsModels(t *testing.T) {
	h := newHouse(t)
	embeddings, extraction := "second/text-embedding-3-small", "gpt-4o-mini"
	if _, err := h.directory.UpdateTenant(t.Context(), "acme", directory.TenantChange{Memory: &directory.MemoryChange{Embeddings: &embeddings, Extraction: &extraction}}); err != nil {
		t.Fatal(err)
	}
	id := h.remembers("Ada keeps bees on the roof of the library.")
	h.eventually("vector and facts", func() bool {
		c := h.keeper.Counts()
		return c.Embedded.Load() == 1 && c.Extracted.Load() == 1
	})
	if a := h.do("GET", "/v1/buckets/default/memories/"+id, ""); !strings.Contains(a.body, `"facts":[`) {
		t.Errorf("%s", a.body)
	}
	a := h.do("POST", "/v1/query", `{"query":"Who keeps bees?","explain":true,"options":{"skip_synthesis":true}}`)
	if !strings.Contains(a.body, `"cosine":`) || strings.Contains(a.body, `"cosine":0}`) {
		t.Errorf("no cosine: %s", a.body)
	}
	var kinds []string
	for _, r := range h.records(4) {
		kinds = append(kinds, fmt.Sprint(r["endpoint"], " ", r["provider"], " ", r["outcome"]))
	}
	all := strings.Join(kinds, "\n")
	for _, want := range []string{"embeddings second completed", "chat_completions main completed"} {
		if !strings.Contains(all, want) {
			t.Errorf("no record of %q in\n%s", want, all)
		}
	}
}

// TestTurnsAtHandAreNotPutIn: what was captured of a conversation is not put into
// it again, wherever in the request it stands, and is put into another one that begins
// in the same way.
func TestTurnsAtHandAreNotPutIn(t *testing.T) {
	h := newHouse(t)
	const opening, said, question = `{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"}`, `{"role":"user","content":"Ada keeps bees on the roof."}`, `{"role":"user","content":"Who keeps bees up there?"}`
	h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[`+opening+","+said+`]}`, "Ownkey-Memory", "capture")
	h.keeps("default", "user: Ada keeps bees on the roof.")
	for messages, want := range map[string]string{
		opening + "," + said + `,{"role":"assistant","content":"Nice."},` + question: "empty",
		opening + "," + question: "hit",
		question:                 "hit",
		`{"role":"system","content":"Known: ada keeps bees\non the roof"},` + question:                                                                                                     "empty",
		question + `,{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"- Ada keeps bees on the roof!"}`: "empty",
		`{"role":"user","content":"Ada keeps bees"},{"role":"user","content":"on the roof."},` + question:                                                                                  "hit",
	} {
		a := h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[`+messages+`]}`, "Ownkey-Memory", "recall", "Ownkey-Session", "the-same")
		got, reason := a.header.Get("Ownkey-Memory"), a.header.Get("Ownkey-Memory-Reason")
		if got != want || (want == "hit") != strings.Contains(h.sentBody(), "<memory-") || (want == "empty") != (reason == "already-in-request") {
			t.Errorf("%s: %s %s, sent %s", messages, got, reason, h.sentBody())
		}
	}
	for path, body := range map[string]string{
		"/v1/messages":  `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"Ada keeps bees on the roof."}],"messages":[` + question + `]}`,
		"/v1/responses": `{"model":"m","instructions":"Ada keeps bees on the roof.","input":[` + question + `]}`,
	} {
		if a := h.do("POST", path, body, "Ownkey-Memory", "recall"); a.header.Get("Ownkey-Memory-Reason") != "already-in-request" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

// TestSessionsOfClients: a conversation is called what the client calls it, in whatever
// header or member.
func TestSessionsOfClients(t *testing.T) {
	h, n := newHouse(t), 0
	session := func(path, members string, headers ...string) string {
		t.Helper()
		n++
		bucket := fmt.Sprint("of-clients-", n)
		a := h.do("POST", path, `{"model":"m","max_tokens":9,`+members+`}`, append(headers, "Ownkey-Memory", "capture", "Ownkey-Bucket", bucket)...)
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		h.eventually("a turn in "+bucket, func() bool { return len(h.kept(bucket)) > 0 })
		var out struct{ Memories []struct{ Session string } }
		if err := json.Unmarshal([]byte(h.do("GET", "/v1/buckets/"+bucket+"/memories", "").body), &out); err != nil {
			t.Fatal(err)
		}
		return out.Memories[0].Session
	}
	const chat, talk = "/v1/chat/completions", `"messages":[{"role":"user","content":"I live in Oslo."}]`
	for _, header := range []string{"Ownkey-Session", "session-id", "session_id", "x-session-id", "X-Claude-Code-Session-Id"} {
		if got := session(chat, talk+`,"prompt_cache_key":"other"`, header, "0199-aa"); got != "0199-aa" {
			t.Errorf("%s: %q", header, got)
		}
	}
	if got := session(chat, talk, "session-id", "two", "Ownkey-Session", "one"); got != "one" {
		t.Errorf("two headers: %q", got)
	}
	for members, want := range map[string]string{
		`"prompt_cache_key":"ses_1","user":"x"`:                                                        "ses_1",
		`"conversation":"conv_1"`:                                                                      "conv_1",
		`"conversation":{"id":"conv_2"}`:                                                               "conv_2",
		`"previous_response_id":"resp_1"`:                                                              "resp_1",
		`"prompt_cache_key":"","previous_response_id":null,"conversation":{"id":"c"}`:                  "c",
		`"metadata":{"user_id":"user_9a_account_7b_session_e4c1"}`:                                     "e4c1",
		`"metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"e4c2\"}"}`: "e4c2",
		`"metadata":{"user_id":"ada","session":"no"}`:                                                  "ada",
	} {
		if got := session("/v1/responses", members+`,"input":"I live in Oslo."`); got != want {
			t.Errorf("%s: %q, want %q", members, got, want)
		}
	}
	own := session(chat, talk)
	if odd := session(chat, talk, "x-session-id", "ada's talk"); !strings.HasPrefix(odd, "c") || odd == own {
		t.Errorf("a name that is none: %q, by itself %q", odd, own)
	}
	for _, none := range []string{`"prompt_cache_key":7`, `"metadata":{"user_id":[]}`, `"metadata":[]`, `"conversation":{}`, `"prompt_cache_key":" "`} {
		if got := session(chat, talk+","+none); got != own {
			t.Errorf("%s: %q, want %q", none, got, own)
		}
	}
}

// TestSessionOfATurn: a conversation has the name that the client gives it, or
// one that stays the same while its history grows.
func TestSessionOfATurn(t *testing.T) {
	h := newHouse(t)
	sessions := func(bucket string, n int) (all []string) {
		t.Helper()
		h.eventually(fmt.Sprintf("%d turns in %s", n, bucket), func() bool { return len(h.kept(bucket)) == n })
		var out struct{ Memories []struct{ Session string } }
		if err := json.Unmarshal([]byte(h.do("GET", "/v1/buckets/"+bucket+"/memories", "").body), &out); err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Memories {
			all = append(all, m.Session)
		}
		return all
	}
	say := func(bucket, messages string, more ...string) {
		h.do("POST", "/v1/chat/completions", `{"model":"m","messages":[`+messages+`]}`, append(more, "Ownkey-Memory", "capture", "Ownkey-Bucket", bucket)...)
	}
	const first, next, other = `{"role":"user","content":"I live in Oslo."}`, `,{"role":"assistant","content":"Nice."},{"role":"user","content":"It rains."}`, `{"role":"user","content":"I have a boat."}`
	say("named", first, "Ownkey-Session", "talk-1")
	if got := sessions("named", 1); got[0] != "talk-1" {
		t.Errorf("named: %q", got)
	}
	say("grows", first)
	say("grows", first+next)
	if got := sessions("grows", 2); got[0] != got[1] || got[0] == "" {
		t.Errorf("grows: %q", got)
	}
	say("apart", first)
	say("apart", other)
	if got := sessions("apart", 2); got[0] == got[1] {
		t.Errorf("apart: %q", got)
	}
}
