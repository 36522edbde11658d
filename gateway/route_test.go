package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

func (h *house) routes(routes ...directory.Route) {
	h.t.Helper()
	if _, err := h.directory.UpdateTenant(context.Background(), "acme", directory.TenantChange{Routes: &routes}); err != nil {
		h.t.Fatal(err)
	}
}

// TestFirstRouteWins: a route comes before the provider in a model's name.
func TestFirstRouteWins(t *testing.T) {
	h := newHouse(t)
	h.routes(directory.Route{Model: "openai/gpt-oss-*", Provider: "second"}, directory.Route{Model: "second/*", Provider: "second"},
		directory.Route{Model: "openai/gpt-oss-20b", Provider: "main"}, directory.Route{Model: "llama", Provider: "second"}, directory.Route{Model: "main/big", Provider: "second"})
	for _, f := range []struct{ path, model, provider, arrived string }{
		{"/v1", "openai/gpt-oss-120b", "second", "openai/gpt-oss-120b"},
		{"/v1", "openai/gpt-oss-20b", "second", "openai/gpt-oss-20b"}, // the first one that matches
		{"/v1", "second/llama-3", "second", "llama-3"},                // the provider's own prefix is cut, as without a route
		{"/v1", "main/big", "second", "main/big"},
		{"/v1", "main/small", "main", "small"},
		{"/v1", "llama", "second", "llama"},
		{"/v1", "nobody/llama", "main", "nobody/llama"},
		{"/main/v1", "openai/gpt-oss-120b", "main", "openai/gpt-oss-120b"}, // pinned
	} {
		a := h.do("POST", f.path+"/chat/completions", `{"model":"`+f.model+`","messages":[]}`)
		all := h.provider.Requests()
		if got := all[len(all)-1].Model; a.status != 200 || a.header.Get("Ownkey-Provider") != f.provider || got != f.arrived {
			t.Errorf("%s: %d from %q, arrived as %q, want %q, %q", f.model, a.status, a.header.Get("Ownkey-Provider"), got, f.provider, f.arrived)
		}
	}
	h.routes(directory.Route{Model: "*", Provider: "second"})
	if a := h.chat("main/x"); a.header.Get("Ownkey-Provider") != "second" {
		t.Errorf("a route for all: %v", a.header)
	}
}

// TestBodiesWithoutAModel go to the default or the pinned provider.
func TestBodiesWithoutAModel(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{`{"input":"x"}`, `{"model":null,"input":"x"}`, `{"model":{"id":"m"},"input":"x"}`, `{"model":["m"],"input":"x"}`} {
		for path, provider := range map[string]string{"/v1/things": "main", "/second/v1/things": "second"} {
			if a := h.do("POST", path, body); a.header.Get("Ownkey-Error") != "" || a.header.Get("Ownkey-Provider") != provider || h.sentBody() != body {
				t.Errorf("%s %s: %d from %q, sent %s", path, body, a.status, a.header.Get("Ownkey-Provider"), h.sentBody())
			}
		}
	}
	if a := h.do("POST", "/v1/responses", `{"model":null,"prompt":{"id":"p"},"input":"x"}`); a.header.Get("Ownkey-Provider") != "main" {
		t.Errorf("a response by a stored prompt: %d %s", a.status, a.body)
	}
	if a := h.do("POST", "/v1/things", `[{"model":"m"}]`); a.header.Get("Ownkey-Provider") != "main" || h.sentBody() != `[{"model":"m"}]` {
		t.Errorf("an array where nobody knows what a body is: %d %s", a.status, a.body)
	}
}

// TestAnthropicVersionTellsTheDialect: on any path the header decides who is
// asked, unless somebody chose, and nothing of the call goes to anyone else. An
// error has the shape that the client of the path reads.
func TestAnthropicVersionTellsTheDialect(t *testing.T) {
	h := newHouse(t)
	version := []string{"Anthropic-Version", "2023-06-01"}
	for _, path := range []string{"/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings"} {
		if a := h.do("POST", path, `{"model":"m","messages":[],"input":"x"}`, version...); a.status != 412 || a.code() != "credential_missing" ||
			!strings.Contains(a.body, `"type":"ownkey_error"`) || !strings.Contains(a.body, "Anthropic-Version") {
			t.Errorf("%s of a tenant without a credential for Anthropic: %d %s", path, a.status, a.body)
		}
	}
	if a := h.do("GET", "/v1/models", "", version...); a.status != 412 || a.code() != "credential_missing" ||
		!strings.Contains(a.body, `{"type":"error","error":{"type":"invalid_request_error"`) || !strings.Contains(a.body, "Anthropic-Version") {
		t.Errorf("a tenant without a credential for Anthropic: %d %s", a.status, a.body)
	}
	if n := len(h.provider.Requests()); n > 0 {
		t.Error("it went to another provider")
	}
	h.store("acme", "anthropic", "default", "sk-other")
	h.routes(directory.Route{Model: "claude-special", Provider: "second"})
	for _, f := range []struct{ method, path, body, provider string }{
		{"GET", "/v1/models", "", "anthropic"},
		{"GET", "/v1/models/claude-4", "", "anthropic"},
		{"GET", "/v1/files", "", "anthropic"},
		{"POST", "/v1/files", `{"x":1}`, "anthropic"},
		{"POST", "/v1/messages/batches", `{"requests":[]}`, "anthropic"},
		{"POST", "/v1/messages/count_tokens", `{"model":"claude-4","messages":[]}`, "anthropic"},
		{"POST", "/v1/skills", `{}`, "anthropic"},
		{"POST", "/v1/things", `{"model":"claude-special"}`, "second"},
		{"POST", "/v1/things", `{"model":"main/claude"}`, "main"},
		{"GET", "/second/v1/models", "", "second"},
		{"POST", "/v1/chat/completions", `{"model":"m","messages":[]}`, "anthropic"},
		{"POST", "/v1/responses", `{"model":"m","input":"x"}`, "anthropic"},
		{"POST", "/v1/completions", `{"model":"m","prompt":"x"}`, "anthropic"},
		{"POST", "/v1/embeddings", `{"model":"m","input":"x"}`, "anthropic"},
		{"POST", "/v1/v1/chat/completions", `{"model":"m","messages":[]}`, "anthropic"},
		{"POST", "/v1/chat/completions", `{"model":"claude-special","messages":[]}`, "second"},
		{"POST", "/v1/chat/completions", `{"model":"main/m","messages":[]}`, "main"},
		{"POST", "/main/v1/chat/completions", `{"model":"m","messages":[]}`, "main"},
	} {
		if a := h.do(f.method, f.path, f.body, version...); a.header.Get("Ownkey-Provider") != f.provider {
			t.Errorf("%s %s: %d from %q, want %s", f.method, f.path, a.status, a.header.Get("Ownkey-Provider"), f.provider)
		}
	}
	if a := h.do("GET", "/v1/models", ""); a.header.Get("Ownkey-Provider") != "main" {
		t.Errorf("without the header: %v", a.header)
	}
	const shape = `{"type":"error","error":{"type":"authentication_error"`
	if a := h.do("GET", "/v1/files", "", "Anthropic-Version", "2023-06-01", "Authorization", ""); a.status != 401 || !strings.HasPrefix(a.body, shape) {
		t.Errorf("an error: %d %s", a.status, a.body)
	}
	if a := h.do("GET", "/v1/buckets", "", "Anthropic-Version", "2023-06-01", "Authorization", ""); !strings.HasPrefix(a.body, `{"error":"`) {
		t.Errorf("an error of the memory API: %s", a.body)
	}
}
