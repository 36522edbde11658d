package gateway_test

import (
	"strings"
	"testing"
)

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
