package gateway_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
)

// TestListOfModelsBoundsWhatIsCalled: a token with a list of models may call the
// paths whose model is read, and the lists of models.
func TestListOfModelsBoundsWhatIsCalled(t *testing.T) {
	h := newHouse(t)
	h.store("acme", "openai", "default", "sk-other")
	listed := h.mint("acme", directory.NewToken{Models: []string{"gpt-4o*", "openai/*", "second/llama-3"}})
	f := func(method, target, body string, allowed bool, contentType ...string) {
		t.Helper()
		before := len(h.provider.Requests())
		headers := []string{"Authorization", "Bearer " + listed}
		if len(contentType) > 0 {
			headers = append(headers, "Content-Type", contentType[0])
		}
		a := h.do(method, target, body, headers...)
		reached := len(h.provider.Requests()) > before
		if reached != allowed || !allowed && (a.status != 403 || a.code() != "not_allowed" || !strings.Contains(a.body, "ownkey token update --")) {
			t.Errorf("%s %s %s: reached the provider: %v, %d %s", method, target, body, reached, a.status, a.body)
		}
	}
	for _, path := range []string{
		"/chat/completions", "/completions", "/embeddings", "/moderations", "/responses", "/responses/compact", "/messages", "/messages/count_tokens",
		"/images/generations", "/audio/speech",
	} {
		f("POST", "/v1"+path, `{"model":"gpt-4o-mini"}`, true)
		f("POST", "/main/v1"+path, `{"model":"gpt-4o-mini"}`, true)
		f("POST", "/v1"+path, `{"model":"o3"}`, false)
		f("POST", "/v1"+path, `{"m\u006fdel":"o3"}`, false)
		f("POST", "/v1"+path, `{}`, false)
		f("POST", "/v1"+path, `{"model":null}`, false)
		f("POST", "/v1"+path, `{"model":{"id":"o3"}}`, false)
		f("POST", "/v1"+path, `{"model":{"id":"gpt-4o"}}`, false)
		f("POST", "/v1"+path, `{"model":["gpt-4o"]}`, false)
		f("POST", "/v1"+path, "", false)
		f("GET", "/v1"+path, "", false)
		f("DELETE", "/v1"+path, "", false)
	}
	// Providers.
	f("POST", "/v1/chat/completions", `{"model":"openai/o3"}`, true)
	f("POST", "/openai/v1/chat/completions", `{"model":"o3"}`, true)
	f("POST", "/second/v1/chat/completions", `{"model":"openai/o3"}`, false)
	f("POST", "/second/v1/chat/completions", `{"model":"llama-3"}`, true)
	f("POST", "/main/v1/chat/completions", `{"model":"second/llama-3"}`, false)
	// Further models.
	f("POST", "/v1/chat/completions", `{"model":"gpt-4o","models":["gpt-4o-mini"]}`, true)
	f("POST", "/v1/chat/completions", `{"model":"gpt-4o","models":["gpt-4o-mini","o3"]}`, false)
	f("POST", "/v1/chat/completions", `{"model":"gpt-4o","fallbacks":[{"model":"o3"}]}`, false)
	f("POST", "/v1/responses", `{"model":"gpt-4o","tools":[{"type":"image_generation","model":"gpt-image-1"}]}`, false)
	f("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"x","model":"o3"}]}]}`, true)
	// Lists of models, and everything else.
	f("GET", "/v1/models", "", true)
	f("GET", "/v1/models/gpt-4o", "", true)
	f("GET", "/v1/models/openai%2Fgpt-oss", "", true)
	for _, call := range []string{
		"DELETE /v1/models/ft:gpt-4o:acme", "POST /v1/models/x", "GET /v1/modelsx", "GET /v1/models%2F", "GET /v1/files", "GET /v1/conversations/c/items", "POST /v1/batches", "POST /v1/messages/batches",
		"POST /v1/threads/t/runs", "POST /v1/fine_tuning/jobs", "GET /v1/organization/costs", "GET /v1/organization/users", "POST /v1/realtime/sessions",
		"POST /v1/Chat/completions", "POST /v1/chat/completions/", "POST /v1/v1/chat/completions", "GET /v1/responses/resp_1", "POST /v1/responses/resp_1/cancel", "DELETE /v1/responses/resp_1", "GET /v1/chat/completions/c",
	} {
		method, target, _ := strings.Cut(call, " ")
		body := ""
		if method == "POST" {
			body = `{"requests":[{"params":{"model":"gpt-4o"}}]}`
		}
		f(method, target, body, false)
	}
	f("POST", "/v1/audio/transcriptions", "model=gpt-4o", false, "application/x-www-form-urlencoded")
	f("POST", "/v1/chat/completions", `{"model":"o3"}`, false, "text/plain")
	f("POST", "/v1/chat/completions", `{"model":"gpt-4o"}`, true, "application/vnd.api+json")
	// Both JSON and a form, of other models.
	if a := h.do("POST", "/v1/completions", `{"model":"gpt-4o","&model=o3&":1}`, "Authorization", "Bearer "+listed, "Content-Type", "application/x-www-form-urlencoded"); a.status != 403 || !strings.Contains(a.body, "Content-Type") {
		t.Errorf("JSON that is a form: %d %s", a.status, a.body)
	}
	for _, target := range []string{"/v1/files", "/v1/organization/costs"} { // a token without a list
		if a := h.do("GET", target, ""); a.header.Get("Ownkey-Error") != "" {
			t.Errorf("%s without a list: %d %s", target, a.status, a.body)
		}
	}
}

// formOf is a form with a file of so many bytes, and then its model, as curl sends
// what OpenAI's documentation shows.
func formOf(fileBytes int, model string) string {
	const part = "--x\r\nContent-Disposition: form-data; name="
	return part + "\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n" + strings.Repeat("\x00\xff", fileBytes/2) + "\r\n" +
		part + "\"model\"\r\n\r\n" + model + "\r\n--x--\r\n"
}

// TestModelsOfForms: uploads of audio and images name their model in a form, which
// a token with a list may send, byte for byte, if the list has the model.
func TestModelsOfForms(t *testing.T) {
	var calls atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		_, _ = fmt.Fprintf(w, "%x %s", sum.Sum(nil), r.Header.Get("Content-Type"))
	}))
	defer provider.Close()
	h := newHouse(t, func(o *options) { o.provider = provider.URL + "/v1" })
	listed := h.mint("acme", directory.NewToken{Models: []string{"whisper-1", "main/whisper-2", "second/whisper-3"}})
	pathed := h.mint("acme", directory.NewToken{Models: []string{"gpt-4o"}, Endpoints: []string{"/v1/audio/*"}})
	const kind = "multipart/form-data; boundary=x"
	for _, f := range []struct {
		name, token, target, kind, body string
		status                          int
	}{
		{"allowed", listed, "/v1/audio/transcriptions", kind, formOf(100, "whisper-1"), 200},
		{"large, the model last", listed, "/v1/audio/translations", kind, formOf(30<<20, "whisper-1"), 200},
		{"pinned", listed, "/main/v1/images/edits", kind, formOf(100, "whisper-2"), 200},
		{"of another provider", listed, "/v1/images/variations", kind, formOf(100, "whisper-3"), 403},
		{"not in the list", listed, "/v1/audio/transcriptions", kind, formOf(100, "gpt-4o-transcribe"), 403},
		{"large, not in the list", listed, "/v1/audio/transcriptions", kind, formOf(30<<20, "gpt-4o-transcribe"), 403},
		{"further models", listed, "/v1/audio/transcriptions", kind, strings.Replace(formOf(100, "whisper-1"), `name="file"; filename="a.mp3"`, `name="fallbacks"`, 1), 403},
		{"no model", listed, "/v1/audio/transcriptions", kind, strings.Replace(formOf(100, "whisper-1"), `name="model"`, `name="prompt"`, 1), 403},
		{"two models", listed, "/v1/audio/transcriptions", kind, formOf(100, "whisper-1\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe"), 400},
		{"no boundary", listed, "/v1/audio/transcriptions", "multipart/form-data", formOf(100, "whisper-1"), 400},
		{"no end", listed, "/v1/audio/transcriptions", kind, strings.TrimSuffix(formOf(100, "whisper-1"), "--x--\r\n"), 400},
		{"too large to be read", listed, "/v1/audio/transcriptions", kind, formOf(65<<20, "whisper-1"), 413},
		{"a path that takes none", listed, "/v1/files", kind, formOf(100, "whisper-1"), 403},
		{"a path that the token may call", pathed, "/v1/audio/transcriptions", kind, formOf(100, "whisper-1") + "and more", 200},
		{"no list", h.token, "/v1/audio/transcriptions", kind, formOf(100, "gpt-4o-transcribe") + "and more", 200},
	} {
		before := calls.Load()
		a := h.do("POST", f.target, f.body, "Authorization", "Bearer "+f.token, "Content-Type", f.kind)
		if sent := calls.Load() - before; a.status != f.status || (sent == 1) != (f.status == 200) {
			t.Errorf("%s: %d %.300s, %d requests at the provider", f.name, a.status, a.body, sent)
		} else if want := fmt.Sprintf("%x %s", sha256.Sum256([]byte(f.body)), f.kind); f.status == 200 && a.body != want {
			t.Errorf("%s: other bytes reached the provider: %s, want %s", f.name, a.body, want)
		}
		if f.status == 400 && !strings.Contains(a.body, "not a form whose model can be read") {
			t.Errorf("%s: %s", f.name, a.body)
		}
	}
}

// TestEndpointsOfAToken: patterns allow further paths; the models that a body
// names there are judged still.
func TestEndpointsOfAToken(t *testing.T) {
	h := newHouse(t)
	h.token = h.mint("acme", directory.NewToken{Models: []string{"gpt-4o*"}, Endpoints: []string{"/v1/files*", "/v1/messages/batches", "/v1/audio/*"}})
	f := func(method, target, body string, allowed bool) {
		t.Helper()
		headers := []string{}
		if strings.HasPrefix(body, "--") {
			headers = append(headers, "Content-Type", "multipart/form-data; boundary=x")
		}
		if a := h.do(method, target, body, headers...); (a.code() != "not_allowed") != allowed {
			t.Errorf("%s %s %s: %d %s", method, target, body, a.status, a.body)
		}
	}
	f("GET", "/v1/files", "", true)
	f("DELETE", "/main/v1/files/f1", "", true)
	f("GET", "/v1//%66iles/f1/content", "", true)
	f("POST", "/v1/files", "--x--", true)
	f("GET", "/v1/batches", "", false)
	f("GET", "/v1/x%2F..%2Ffiles", "", true) // 400: it has no spelling, so nothing is allowed or not
	f("POST", "/v1/audio/transcriptions", "--x--", true)
	f("POST", "/v1/messages/batches", `{"requests":[{"params":{"model":"gpt-4o-mini"}},{"params":{"model":"gpt-4o"}}]}`, true)
	f("POST", "/v1/messages/batches", `{"requests":[{"params":{"model":"gpt-4o-mini"}},{"params":{"model":"o3"}}]}`, false)
	f("POST", "/v1/messages/batches", `{"model":"o3"}`, false)
	f("POST", "/v1/files", `{"model":{"id":"o3"}}`, false)
	f("POST", "/v1/files", `[{"model":"o3"}]`, false)
}

// TestCredentialsOfAToken: a token uses the credentials that it may, whether the
// call names one or not.
func TestCredentialsOfAToken(t *testing.T) {
	h := newHouse(t)
	h.store("acme", "main", "team-a", "sk-other")
	h.store("acme", "second", "team-b", secondKey)
	for _, f := range []struct {
		credentials []string
		path, label string
		status      int
		used        string
	}{
		{nil, "/main", "", 200, "default"},
		{nil, "/main", "team-a", 200, "team-a"},
		{[]string{"team-a"}, "/main", "team-a", 200, "team-a"},
		{[]string{"team-a"}, "/main", "", 200, "team-a"}, // the only one that it may use
		{[]string{"team-a"}, "/main", "default", 403, ""},
		{[]string{"team-a"}, "/main", "nobody", 403, ""},
		{[]string{"team-a"}, "/second", "", 403, ""},
		{[]string{"team-*"}, "/second", "", 200, "team-b"},
		{[]string{"team-*", "default"}, "/main", "", 200, "default"},
		{[]string{"team-*"}, "/main", "team-c", 412, ""},
	} {
		token := h.mint("acme", directory.NewToken{Credentials: f.credentials})
		headers := []string{"Authorization", "Bearer " + token}
		if f.label != "" {
			headers = append(headers, "Ownkey-Credential", f.label)
		}
		a := h.do("POST", f.path+"/v1/chat/completions", chatBody("m", false), headers...)
		used, _, _ := strings.Cut(a.header.Get("Ownkey-Credential"), ";")
		if a.status != f.status || used != f.used || f.status == 403 && (a.code() != "not_allowed" || !strings.Contains(a.body, "Ownkey-Credential")) {
			t.Errorf("%q, %s, label %q: %d, used %q, %s", f.credentials, f.path, f.label, a.status, used, a.body)
		}
	}
}

// TestBucketsAreAWall tries every way to a bucket that a token may not use.
func TestBucketsAreAWall(t *testing.T) {
	h := newHouse(t)
	for _, bucket := range []string{"team-a", "team-b", "shared"} {
		if a := h.do("POST", "/v1/buckets/"+bucket+"/memories", `{"content":"Ada keeps bees on the roof of `+bucket+`."}`); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	inference := []string{directory.ScopeInference}
	tokens := map[string]string{
		"own":    h.mint("acme", directory.NewToken{Bucket: "team-a", Memory: "on"}),
		"apart":  h.mint("acme", directory.NewToken{Bucket: "team-a", Buckets: &directory.Buckets{Read: []string{"team-a", "shared"}}}),
		"narrow": h.mint("acme", directory.NewToken{Bucket: "team-a", Memory: "on", Scopes: inference}),
		"plain":  h.mint("acme", directory.NewToken{Memory: "on", Scopes: inference}),
		"many":   h.mint("acme", directory.NewToken{Bucket: "team-*", Memory: "recall"}),
		"open":   h.token,
	}
	const chat = "POST /v1/chat/completions "
	for _, f := range []struct {
		tokens, call, body string
		headers            []string
		allowed            string // which of the tokens
	}{
		{"own apart narrow plain many open", chat, question, []string{"Ownkey-Bucket", "team-b", "Ownkey-Memory", "recall"}, "many open"},
		{"own apart narrow plain many open", chat, question, []string{"Ownkey-Bucket", "team-a", "Ownkey-Memory", "recall"}, "own apart narrow many open"},
		{"own apart narrow plain many open", chat, question, []string{"Ownkey-Bucket", "team-a,team-b", "Ownkey-Memory", "recall"}, "many open"},
		{"own apart narrow plain many open", chat, question, []string{"Ownkey-Bucket", "shared", "Ownkey-Memory", "capture"}, "open"},
		{"own apart many open", chat, question, []string{"Ownkey-Bucket", "team-a,shared", "Ownkey-Memory", "on"}, "apart open"},
		{"own narrow plain many", chat, question, nil, "own narrow plain"}, // many names none by itself
		{"narrow plain", chat, question, []string{"Ownkey-Memory-Dry-Run", "true"}, ""},
		{"own", chat, question, []string{"Ownkey-Memory-Dry-Run", "true"}, "own"},
		{"own apart many open narrow", "POST /v1/buckets/team-b/memories", `{"content":"x"}`, nil, "many open"},
		{"own apart many open", "POST /v1/buckets/shared/memories", `{"content":"x"}`, nil, "open"},
		{"own apart many open", "GET /v1/buckets/shared/memories", "", nil, "apart open"},
		{"own apart many", "GET /v1/buckets/team-b/export", "", nil, "many"},
		{"own apart many", "GET /v1/buckets/team-b/profile", "", nil, "many"},
		{"own apart", "GET /v1/buckets/shared/profile", "", nil, "apart"},
		{"own apart", "POST /v1/buckets/shared/profile/regenerate", "{}", nil, ""},
		{"own apart", "POST /v1/buckets/shared/import", `{"content":"x"}`, nil, ""},
		{"own apart", "GET /v1/buckets/team-b/memories/m1/history", "", nil, ""},
		{"own apart", "PATCH /v1/buckets/shared/memories/m1", `{"pinned":true}`, nil, ""},
		{"own apart", "DELETE /v1/buckets/shared/memories/m1", "", nil, ""},
		{"own apart", "DELETE /v1/buckets/shared/memories?dry_run=true", "", nil, ""},
		{"own apart", "DELETE /v1/buckets/shared", "", nil, ""},
		{"own apart", "DELETE /v1//%62uckets/shared", "", nil, ""},
		{"own apart open", "POST /v1/buckets", `{"name":"other"}`, nil, "open"},
		{"own apart many", "POST /v1/query", `{"query":"bees","buckets":["team-a","team-b"],"options":{"skip_synthesis":true}}`, nil, "many"},
		{"own apart", "POST /v1/query", `{"query":"bees","buckets":["shared"],"options":{"skip_synthesis":true}}`, nil, "apart"},
		{"own apart", "POST /v1/query", `{"query":"bees","options":{"skip_synthesis":true}}`, nil, "own apart"},
	} {
		for name := range strings.FieldsSeq(f.tokens) {
			method, target, _ := strings.Cut(strings.TrimSpace(f.call), " ")
			a := h.do(method, target, f.body, append([]string{"Authorization", "Bearer " + tokens[name]}, f.headers...)...)
			refused := a.status == 403 && a.header.Get("Ownkey-Error") == "not_allowed"
			if want := strings.Contains(" "+f.allowed+" ", " "+name+" "); refused == want {
				t.Errorf("token %s: %s %s %v: %d %s", name, f.call, f.body, f.headers, a.status, a.body)
			}
			if refused && f.headers != nil && !strings.Contains(a.body, "header Ownkey-") {
				t.Errorf("token %s: %s: the refusal names no header: %s", name, f.call, a.body)
			}
		}
	}
	list := func(token string) string {
		return h.do("GET", "/v1/buckets", "", "Authorization", "Bearer "+token).body
	}
	if own := list(tokens["own"]); !strings.Contains(own, "team-a") || strings.Contains(own, "team-b") || strings.Contains(own, "shared") {
		t.Errorf("the list of buckets has others: %s", own)
	}
	if apart := list(tokens["apart"]); !strings.Contains(apart, "shared") || strings.Contains(apart, "team-b") {
		t.Errorf("the list of buckets: %s", apart)
	}
}

// TestModeOfATokenWithoutTheScope: it has its own setting, and less.
func TestModeOfATokenWithoutTheScope(t *testing.T) {
	h := newHouse(t)
	for setting, allowed := range map[string]string{"off": "off", "recall": "off recall", "capture": "off capture", "on": "off recall capture on"} {
		token := h.mint("acme", directory.NewToken{Scopes: []string{directory.ScopeInference}, Memory: setting})
		for _, mode := range []string{"off", "recall", "capture", "on"} {
			a := h.do("POST", "/v1/chat/completions", question, "Authorization", "Bearer "+token, "Ownkey-Memory", mode)
			if want := strings.Contains(" "+allowed+" ", " "+mode+" "); (a.status == 200) != want {
				t.Errorf("setting %s, asked for %s: %d %s", setting, mode, a.status, a.body)
			}
		}
	}
}

// TestDryQuery shows ids and scores, no content, and bills nothing.
func TestDryQuery(t *testing.T) {
	h := newHouse(t)
	id := h.remembers("Ada keeps bees on the roof of the library.", `"metadata":{"note":"secret"}`)
	a := h.do("POST", "/v1/query", `{"query":"Who keeps bees?"}`, "Ownkey-Memory-Dry-Run", "true")
	if a.status != 200 || !strings.Contains(a.body, id) || !strings.Contains(a.body, `"raw_score":`) || strings.Contains(a.body, "bees") || strings.Contains(a.body, "secret") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a.header.Get("Ownkey-Memory-Billed") != "false" || h.retrievals() != 0 || len(h.provider.Requests()) != 0 {
		t.Errorf("%v, %d retrievals", a.header, h.retrievals())
	}
	if a := h.do("POST", "/v1/query", `{"query":"Who keeps bees?","options":{"skip_synthesis":true}}`); a.header.Get("Ownkey-Memory-Billed") != "true" || h.retrievals() != 1 {
		t.Errorf("the same question behind its dry run: %v, %d retrievals", a.header, h.retrievals())
	}
	if a := h.do("POST", "/v1/query", `{"query":"Who keeps bees?"}`, "Ownkey-Memory-Dry-Run", "yes"); a.status != 400 || !strings.Contains(a.body, "Ownkey-Memory-Dry-Run") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSpentBudgetIsAnEnd: no pause is promised, so no agent waits for it.
func TestSpentBudgetIsAnEnd(t *testing.T) {
	h := newHouse(t, func(o *options) { o.admit = admission.Options{Settings: admission.Settings{MaxInFlight: 100}} })
	for name, n := range map[string]directory.Limits{"tokens_per_day": {TokensPerDay: 1}, "tokens_per_month": {TokensPerMonth: 1}} {
		token := h.mint("acme", directory.NewToken{Limits: n})
		call := func(path string) answer {
			return h.do("POST", path, `{"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, "Authorization", "Bearer "+token)
		}
		if a := call("/v1/chat/completions"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		h.eventually("the budget is spent", func() bool { return call("/v1/chat/completions").status != 200 })
		for path, shape := range map[string]string{
			"/v1/chat/completions": `{"error":{"message":"the token's budget ` + name + ` is spent; it returns at 20`,
			"/v1/messages":         `{"type":"error","error":{"type":"insufficient_quota","message":"the token's budget ` + name + ` is spent; it returns at 20`,
		} {
			a := call(path)
			if a.status != 403 || a.code() != "budget_exhausted" || !strings.HasPrefix(a.body, shape) || !strings.Contains(a.body, `"type":"insufficient_quota"`) ||
				!strings.Contains(a.body, "T00:00:00Z") || a.header.Get("X-Should-Retry") != "false" || a.header.Get("Retry-After") != "" || a.header.Get("Retry-After-Ms") != "" {
				t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
			}
		}
	}
	limited := h.mint("acme", directory.NewToken{Limits: directory.Limits{RequestsPerSecond: 0.001}})
	for i, want := range []int{200, 429} {
		if a := h.do("POST", "/v1/chat/completions", chatBody("m", false), "Authorization", "Bearer "+limited); a.status != want || want == 429 && a.header.Get("Retry-After") == "" {
			t.Errorf("call %d at a rate limit: %d %s", i, a.status, fmt.Sprint(a.header))
		}
	}
}

// TestOwnResponses: a token with a list of models reads, cancels and deletes the
// responses that it has begun, and no others.
func TestOwnResponses(t *testing.T) {
	h := newHouse(t)
	mine, other := h.mint("acme", directory.NewToken{Models: []string{"gpt-4o"}}), h.mint("acme", directory.NewToken{Models: []string{"*", "gpt-4o"}})
	listed := h.mint("acme", directory.NewToken{Models: []string{"gpt-4o*"}})
	for _, stream := range []bool{false, true} {
		a := h.do("POST", "/v1/responses", fmt.Sprintf(`{"model":"gpt-4o","input":"x","stream":%v}`, stream), "Authorization", "Bearer "+mine)
		_, rest, _ := strings.Cut(a.body, `"id":"resp_`)
		id, _, _ := strings.Cut(rest, `"`)
		if a.status != 200 || id == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for _, f := range []struct {
			token, call string
			allowed     bool
		}{
			{mine, "GET /v1/responses/resp_" + id, true},
			{mine, "GET /main/v1/responses/resp_" + id + "?stream=true", true},
			{mine, "GET /v1/responses/resp_" + id + "/input_items", true},
			{mine, "POST /v1/responses/resp_" + id + "/cancel", true},
			{mine, "POST /v1/responses/resp_" + id, false},
			{mine, "GET /v1/responses/resp_" + id + "/other", false},
			{mine, "GET /v1/responses/resp_" + id + "x", false},
			{mine, "GET /second/v1/responses/resp_" + id, false},
			{listed, "GET /v1/responses/resp_" + id, false},
			{listed, "DELETE /v1/responses/resp_" + id, false},
			{other, "GET /v1/responses/resp_" + id, true}, // a token without a list
			{mine, "DELETE /v1/responses/resp_" + id, true},
		} {
			var a answer
			method, target, _ := strings.Cut(f.call, " ")
			a = h.do(method, target, "", "Authorization", "Bearer "+f.token)
			if f.allowed && a.header.Get("Ownkey-Error") != "" || !f.allowed && a.code() != "not_allowed" {
				t.Errorf("%s: %d %s", f.call, a.status, a.body)
			}
		}
	}
}
