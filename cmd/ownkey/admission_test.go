package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func (s *stand) tokenID(label string) string {
	s.t.Helper()
	var listed struct{ Tokens []struct{ ID, Label string } }
	if err := json.Unmarshal([]byte(s.want("", "token", "list", "--tenant", "acme", "--json")), &listed); err != nil {
		s.t.Fatal(err)
	}
	for _, t := range listed.Tokens {
		if t.Label == label {
			return t.ID
		}
	}
	s.t.Fatalf("no token %s", label)
	return ""
}

// What was spent is known after a kill -9, to the token: a budget is spent once.
func TestBudgetsOutliveKills(t *testing.T) {
	s := newStand(t, "")
	token := strings.TrimSpace(s.want("", "token", "create", "--tenant", "acme", "--label", "daily", "--limit", "tokens_per_day=1000000"))
	id := s.tokenID("daily")
	for round := range 4 {
		for range 5 {
			if status, body := s.chat(token, "gpt-4o-mini", "Hello"); status != 200 {
				t.Fatalf("round %d: %d %s", round, status, body)
			}
		}
		s.kill() // most of the records are in the ledger only
		s.serve()
	}
	var spent int64
	for line := range strings.SplitSeq(strings.TrimSpace(s.want("", "records", "--tenant", "acme")), "\n") {
		var r struct {
			Token string `json:"token"`
			In    int64  `json:"input_tokens"`
			Out   int64  `json:"output_tokens"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Token == id {
			spent += r.In + r.Out
		}
	}
	if spent == 0 {
		t.Fatal("nothing was spent")
	}
	s.want("", "token", "update", "--tenant", "acme", id, "--limit", fmt.Sprintf("tokens_per_day=%d", spent+1))
	if status, body := s.chat(token, "gpt-4o-mini", "Hello"); status != 200 {
		t.Errorf("one token is left of %d: %d %s", spent+1, status, body)
	}
	if status, body := s.chat(token, "gpt-4o-mini", "Hello"); status != 403 || !strings.Contains(body, "budget_exhausted") {
		t.Errorf("nothing is left: %d %s", status, body)
	}
	s.stop()
}

// A token that runs away is reported to the webhook, signed, and stopped, until
// it is resumed; also over a restart.
func TestRunawayIsStopped(t *testing.T) {
	told := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte("hook-secret"))
		mac.Write(body)
		if r.Header.Get("Ownkey-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q", r.Header.Get("Ownkey-Signature"))
		}
		told <- string(body)
	}))
	defer hook.Close()
	s := newStand(t, fmt.Sprintf("runaway: {tokens_per_minute: 2000, stop: true, webhook: '%s', webhook_secret: '${HOOK_SECRET}'}\n", hook.URL),
		func(s *stand) { s.env = []string{"HOOK_SECRET=hook-secret"} })
	wild := strings.TrimSpace(s.want("", "token", "create", "--tenant", "acme", "--label", "wild"))
	body := ""
	s.eventually("the token is stopped", func() bool {
		var status int
		status, body = s.chat(wild, "gpt-4o-mini", strings.Repeat("again and again ", 100))
		return status == 403
	})
	if !strings.Contains(body, "token_stopped") {
		t.Error(body)
	}
	var alarm struct {
		Event, Tenant, Token string
		TokensPerMinute      int64 `json:"tokens_per_minute"`
		Stopped              bool
	}
	if err := json.Unmarshal([]byte(<-told), &alarm); err != nil || alarm.Event != "runaway" || alarm.Tenant != "acme" ||
		alarm.Token != s.tokenID("wild") || alarm.TokensPerMinute <= 2000 || !alarm.Stopped {
		t.Errorf("%+v, %v", alarm, err)
	}
	if status, _ := s.chat(s.token, "gpt-4o-mini", "Hello"); status != 200 {
		t.Errorf("another token: %d", status)
	}
	s.kill()
	s.serve()
	if status, _ := s.chat(wild, "gpt-4o-mini", "Hello"); status != 403 {
		t.Errorf("after a restart: %d", status)
	}
	s.want("", "token", "resume", "--tenant", "acme", alarm.Token)
	if status, _ := s.chat(wild, "gpt-4o-mini", "Hello"); status != 200 {
		t.Errorf("resumed: %d", status)
	}
	s.stop()
	if !strings.Contains(s.stderr.String(), "spending runs away") {
		t.Error("the log does not say so")
	}
}
