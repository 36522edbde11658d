package admin_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/usage"
)

// TestUsageComesInPages: limit and next lead through all rows, each once.
func TestUsageComesInPages(t *testing.T) {
	p := newPlane(t)
	b := &drain.Batch{}
	for i := range 25 {
		b.Requests = append(b.Requests, &meter.Record{
			EventID: meter.NewEventID(), Start: time.Now(), TenantID: fmt.Sprint("t", i%5), TokenID: fmt.Sprint("k", i), Attempt: 1, Status: 200, Outcome: meter.OutcomeCompleted,
		})
	}
	if err := p.books.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	seen, pages := map[string]bool{}, 0
	for query := "by=token&limit=4"; query != ""; pages++ {
		answer := p.want("GET", "/usage?"+query, "", 200)
		rows := answer["rows"].([]any)
		for _, r := range rows {
			key := fmt.Sprint(r.(map[string]any)["tenant"], r.(map[string]any)["key"])
			if seen[key] {
				t.Errorf("%s comes twice", key)
			}
			seen[key] = true
		}
		if len(rows) > 4 || len(rows) == 0 {
			t.Errorf("a page of %d", len(rows))
		}
		next, _ := answer["next"].(string)
		if query = ""; next != "" {
			query = "by=token&limit=4&cursor=" + url.QueryEscape(next)
		}
	}
	if len(seen) != 25 || pages != 7 {
		t.Errorf("%d rows on %d pages", len(seen), pages)
	}
}

// TestPages: following next gives every item of a list once, whatever the page's
// size.
func TestPages(t *testing.T) {
	p := newPlane(t)
	const n = 103
	for i := range n {
		id := fmt.Sprintf("t-%04d", i)
		if _, err := p.directory.CreateTenant(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.directory.CreateToken(t.Context(), "t-0000", directory.NewToken{Label: id}); err != nil {
			t.Fatal(err)
		}
		c := directory.Credential{ID: id, TenantID: "t-0000", Provider: []string{"a", "a-b", "b"}[i%3], Label: id, Address: "https://h:443", Host: "h:443", Sealed: "s", Fingerprint: "f", KeyVersion: 1}
		if _, err := p.directory.PutCredential(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for path, name := range map[string]string{"/tenants": "tenants", "/tenants/t-0000/tokens": "tokens", "/tenants/t-0000/credentials": "credentials"} {
		for _, size := range []string{"", "7", "50", "102"} {
			seen, pages := map[string]bool{}, 0
			for cursor, more := "", true; more; more = cursor != "" {
				answer := p.want("GET", path+"?"+url.Values{"limit": {size}, "cursor": {cursor}}.Encode(), "", 200)
				items := answer[name].([]any)
				if pages++; size == "7" && len(items) > 7 {
					t.Errorf("%s: a page of %d", path, len(items))
				}
				for _, item := range items {
					seen[item.(map[string]any)["id"].(string)] = true
				}
				cursor = answer["next"].(string)
			}
			if want := map[string]int{"": 1, "7": 15, "50": 3, "102": 2}[size]; len(seen) != n || pages != want {
				t.Errorf("%s in pages of %q: %d items on %d pages, want %d on %d", path, size, len(seen), pages, n, want)
			}
		}
		if path == "/tenants" { // whose cursors are ids
			continue
		}
		if status, _, raw := p.call("GET", path+"?cursor=x", ""); status != 400 || !strings.Contains(raw, `"cursor"`) {
			t.Errorf("%s: %d %s", path, status, raw)
		}
	}
}

// slowBooks answer a question when its asker leaves.
type slowBooks struct {
	admin.Books
	asked chan struct{}
}

func (s *slowBooks) Usage(ctx context.Context, _ usage.Question) ([]usage.Row, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestQuestionsAreBoundedAndEndWithTheirAsker: a tenant has two questions under
// way and no more, others are not in its way, and all end with their askers.
func TestQuestionsAreBoundedAndEndWithTheirAsker(t *testing.T) {
	books := &slowBooks{asked: make(chan struct{}, 10)}
	u := &admin.UsageAPI{Books: books, Now: time.Now}
	ctx, leave := context.WithCancel(t.Context())
	answers := make(chan int, 10)
	ask := func(tenant string) {
		status, _, _ := u.Answer(ctx, tenant, "")
		answers <- status
	}
	for range 2 {
		go ask("greedy")
		<-books.asked
	}
	status, code, body := u.Answer(ctx, "greedy", "")
	if status != 429 || code != "too_many_requests_in_flight" || !strings.Contains(string(body), "try again") {
		t.Errorf("%d %s %s", status, code, body)
	}
	go ask("other")
	<-books.asked
	leave()
	for range 3 {
		if status := <-answers; status != 503 {
			t.Errorf("%d", status)
		}
	}
}
