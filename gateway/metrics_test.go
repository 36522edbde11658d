package gateway_test

import (
	"strings"
	"testing"

	"github.com/ownkey/ownkey/directory"
)

// TestMemorysOwnCallsAreCounted: whatever their outcome, and apart from those of
// clients.
func TestMemorysOwnCallsAreCounted(t *testing.T) {
	count := func(status int, models []string, wants ...string) {
		t.Helper()
		d := &dear{status: status}
		h := newDearHouse(t, d, directory.Limits{})
		h.stores(h.mint("acme", directory.NewToken{Label: "writer", Models: models}))
		for _, want := range wants {
			h.eventually(want, func() bool { return strings.Contains(h.metricsText(), "ownkey_own_requests_total{"+want+"\n") })
		}
		for line := range strings.Lines(h.metricsText()) {
			if strings.HasPrefix(line, "ownkey_requests_total{") && !strings.Contains(line, `dialect="memory"`) {
				t.Errorf("counted as a client's: %s", line)
			}
		}
	}
	count(0, nil, `dialect="embeddings",outcome="completed",provider="main",status="2xx"} 1`, `dialect="chat_completions",outcome="completed",provider="main",status="2xx"} 20`)
	count(400, nil, `dialect="embeddings",outcome="completed",provider="main",status="4xx"} 1`, `dialect="chat_completions",outcome="completed",provider="main",status="4xx"} 20`)
	count(0, []string{"gpt-4o-mini"}, `dialect="embeddings",outcome="refused",provider="main",status="none"} 1`, `dialect="chat_completions",outcome="refused",provider="main",status="none"} 20`)
}

// TestRequestsAreCounted: by provider, dialect, outcome and status, with
// nothing of a client's in a label.
func TestRequestsAreCounted(t *testing.T) {
	h := newHouse(t)
	if a := h.chat("gpt-4o"); a.status != 200 {
		t.Fatal(a.status, a.body)
	}
	h.chat("marked-provider/marked-model", "Authorization", "Bearer ok_wrong")
	h.do("GET", "/marked/v1/models", "")
	text := ""
	h.eventually("the end of three requests", func() bool {
		text = h.metricsText()
		return strings.Count(text, "\nownkey_requests_total{") == 3
	})
	for _, want := range []string{
		`ownkey_requests_total{dialect="chat_completions",outcome="completed",provider="main",status="2xx"} 1`,
		`ownkey_requests_total{dialect="chat_completions",outcome="refused",provider="none",status="4xx"} 1`,
		`ownkey_requests_total{dialect="none",outcome="refused",provider="none",status="4xx"} 1`,
		`ownkey_request_duration_seconds_count{dialect="chat_completions",provider="main"} 1`,
		`ownkey_first_byte_seconds_count{dialect="chat_completions",provider="main"} 1`,
		`ownkey_overhead_seconds_count 1`,
		`ownkey_errors_total{code="invalid_token"} 1`,
		`ownkey_errors_total{code="unknown_provider"} 1`,
		`ownkey_errors_total{code="ledger_full"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "marked") {
		t.Errorf("a client's word is a label:\n%s", text)
	}
}
