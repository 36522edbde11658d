package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
)

// TestStartWithABacklog: a gateway that was killed with many records in its
// ledger serves at once, and what they have spent counts before a token with a
// budget is let in. OWNKEY_BACKLOG says how many there are.
func TestStartWithABacklog(t *testing.T) {
	n := 50_000
	if held := os.Getenv("OWNKEY_BACKLOG"); held != "" {
		var err error
		if n, err = strconv.Atoi(held); err != nil {
			t.Fatal(err)
		}
	}
	s := newStand(t, "")
	const each = 10 // tokens of a request
	budget := func(label string, tokens int) (token, id string) {
		token = strings.TrimSpace(s.want("", "token", "create", "--tenant", "acme", "--label", label, "--limit", fmt.Sprintf("tokens_per_day=%d", tokens)))
		return token, s.tokenID(label)
	}
	spent, spentID := budget("spent", each*n/2)
	left, leftID := budget("left", each*n/2+1_000_000)
	s.kill()
	s.backlog(n, each, spentID, leftID)
	began := time.Now()
	s.start()
	address := strings.TrimSuffix(strings.TrimPrefix(s.ready.BaseURL, "http://"), "/v1")
	s.eventually("it listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	until := func(what, token string, want int) time.Duration {
		t.Helper()
		for {
			status, body := s.chat(token, "gpt-4o-mini", "Hello")
			if status == want {
				return time.Since(began)
			}
			if status != 503 || time.Since(began) > time.Minute {
				t.Fatalf("%s: %d %s", what, status, body)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	first := until("a token without a budget", s.token, 200)
	refused := until("a token whose budget the backlog has spent", spent, 403)
	served := until("a token whose budget is larger", left, 200)
	t.Logf("%d records wait: the first call is served %.1f s after the start, budgets are known after %.1f s", n, first.Seconds(), max(refused, served).Seconds())
	if first > 10*time.Second {
		t.Errorf("the first call waits %v", first)
	}
	s.stop()
}

// backlog writes finished requests of two tokens, in turn, to the ledger of a
// gateway that does not run.
func (s *stand) backlog(n, each int, tokens ...string) {
	s.t.Helper()
	j, err := meter.OpenJournal(meter.JournalOptions{
		Dir: filepath.Join(s.dir, "data", "ledger"), MaxBytes: 4 << 30, Alarm: func(x ledger.Trouble) { s.t.Errorf("%+v", x) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range n {
		r := &meter.Record{
			EventID: meter.NewEventID(), TenantID: "acme", TokenID: tokens[i%len(tokens)], Provider: "openai", Start: time.Now(), Attempt: 1, Endpoint: "chat_completions",
		}
		if err := j.Open(r); err != nil {
			s.t.Fatal(err)
		}
		r.UsageSource, r.InputTokens = meter.UsageProvider, meter.Count{N: int64(each), Set: true}
		if err := j.Close(r); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := j.Shut(); err != nil {
		s.t.Fatal(err)
	}
}
