package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// dear is a provider whose every call costs 2,000 tokens.
type dear struct {
	calls  atomic.Int64
	status int
}

func (d *dear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.calls.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if d.status > 0 {
		w.WriteHeader(d.status)
		_, _ = io.WriteString(w, `{"error":{"message":"no"}}`)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/chat/completions") {
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"{\"facts\":[]}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1900,"completion_tokens":100,"total_tokens":2000}}`)
		return
	}
	var in struct{ Input []string }
	b, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(b, &in)
	var data []string
	for i := range in.Input {
		data = append(data, fmt.Sprintf(`{"index":%d,"embedding":[1,0]}`, i))
	}
	_, _ = fmt.Fprintf(w, `{"data":[%s],"usage":{"prompt_tokens":2000,"total_tokens":2000}}`, strings.Join(data, ","))
}

// newDearHouse has a tenant whose memories have vectors and facts by a provider
// that is dear.
func newDearHouse(t *testing.T, d *dear, tenant directory.Limits) *house {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
	embeddings, extraction := "vectors", "facts"
	if _, err := h.directory.UpdateTenant(t.Context(), "acme", directory.TenantChange{
		Memory: &directory.MemoryChange{Embeddings: &embeddings, Extraction: &extraction}, Limits: &directory.LimitsChange{TokensPerDay: &tenant.TokensPerDay, TokensPerMinute: &tenant.TokensPerMinute},
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// stores is one call that stores 20 memories: work for one call for vectors and
// 20 for facts.
func (h *house) stores(token string) {
	h.t.Helper()
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf(`{"content":"Number %d of the hives stands on the roof of house %d."}`, i, i*i))
	}
	if a := h.do("POST", "/v1/buckets/default/memories", `{"memories":[`+strings.Join(all, ",")+`],"dedup":"off"}`, "Authorization", "Bearer "+token); a.status != 200 {
		h.t.Fatalf("%d %s", a.status, a.body)
	}
}

// askedFor are the records of calls that memory has made.
func (h *house) askedFor(outcome string, n int) (all []record) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d calls of memory that are %s", n, outcome), func() bool {
		all = nil
		for _, r := range h.records(1) {
			if r["endpoint"] != "memory" && r["outcome"] == outcome {
				all = append(all, r)
			}
		}
		return len(all) >= n
	})
	return all
}

// TestMemorySpendsABudgetAndStops: calls for vectors and facts spend what the
// token that caused them, or its tenant, may spend, and wait when it is gone.
func TestMemorySpendsABudgetAndStops(t *testing.T) {
	for name, f := range map[string]struct {
		token, tenant directory.Limits
		least         int
	}{
		"of the tenant": {tenant: directory.Limits{TokensPerDay: 3000}, least: 2},
		"of the token":  {token: directory.Limits{TokensPerDay: 3000}, least: 2},
		"per minute":    {tenant: directory.Limits{TokensPerMinute: 60}, least: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &dear{}
			h := newDearHouse(t, d, f.tenant)
			token := h.mint("acme", directory.NewToken{Label: "writer", Limits: f.token})
			me, err := h.directory.Authenticate([]byte(token), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			h.stores(token)
			for _, r := range h.askedFor("refused", 1) {
				if code := r["error_code"]; code != "budget_exhausted" && code != "rate_limited" {
					t.Errorf("a call was refused with %v", code)
				}
			}
			for _, r := range h.askedFor("completed", f.least) {
				if r["token"] != me.Token.ID || r["counted_tokens"] != 2000.0 {
					t.Errorf("record: %v", r)
				}
			}
			// 2,000 are spent, 4,000 are too many; two calls may be in flight.
			if n := d.calls.Load(); n > 3 {
				t.Errorf("%d calls of 2,000 tokens at a budget of 3,000", n)
			}
			a := h.do("POST", "/v1/chat/completions", chatBody("gpt-4o", false), "Authorization", "Bearer "+token)
			if code := a.code(); code != "budget_exhausted" && code != "rate_limited" {
				t.Errorf("the client's own call: %d %s", a.status, a.body)
			}
		})
	}
}

// TestMemoryAsksForNoModelThatTheTokenMayNotUse, and nothing for a token that is
// gone.
func TestMemoryAsksForNoModelThatTheTokenMayNotUse(t *testing.T) {
	d := &dear{}
	h := newDearHouse(t, d, directory.Limits{})
	h.stores(h.mint("acme", directory.NewToken{Label: "mini", Models: []string{"gpt-4o-mini"}}))
	h.askedFor("refused", 21)
	if n := d.calls.Load(); n != 0 {
		t.Errorf("%d calls for models that the token may not use", n)
	}
	h.stores(h.mint("acme", directory.NewToken{Label: "vectors", Models: []string{"main/vectors"}}))
	h.askedFor("completed", 1)
	h.askedFor("refused", 41)
	if n := d.calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1 for vectors", n)
	}
}

// TestMemoryDoesNotRepeatWhatIsWrong: one call for each batch and each turn, when
// the provider says that the call is wrong.
func TestMemoryDoesNotRepeatWhatIsWrong(t *testing.T) {
	d := &dear{status: 400}
	h := newDearHouse(t, d, directory.Limits{})
	h.stores(h.token)
	h.eventually("all is given up", func() bool { return h.keeper.Counts().JobsGivenUp.Load() == 40 })
	if n := d.calls.Load(); n != 21 {
		t.Errorf("%d calls, want 21", n)
	}
}

// TestMemoryAsksOnNoCredentialThatTheTokenMayNotUse: what a token causes is paid for
// with the credentials that it may use.
func TestMemoryAsksOnNoCredentialThatTheTokenMayNotUse(t *testing.T) {
	d := &dear{}
	h := newDearHouse(t, d, directory.Limits{})
	team := h.store("acme", "main", "team-a", secondKey)
	h.stores(h.mint("acme", directory.NewToken{Label: "nobody", Credentials: []string{"nobody"}}))
	for _, r := range h.askedFor("refused", 21) {
		if r["error_code"] != "not_allowed" {
			t.Errorf("record: %v", r)
		}
	}
	if n := d.calls.Load(); n != 0 {
		t.Errorf("%d calls on a credential that the token may not use", n)
	}
	h.stores(h.mint("acme", directory.NewToken{Label: "team", Credentials: []string{"team-*"}}))
	for _, r := range h.askedFor("completed", 21) {
		if r["credential"] != team.ID {
			t.Errorf("record: %v", r)
		}
	}
}
