package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shelf is what clients of the memory API were told, by content.
type shelf struct {
	mu      sync.Mutex
	stored  map[string]string    // acknowledged → id
	deleted map[string]bool      // acknowledged
	unsure  map[string]bool      // a deletion without an answer: both is right
	said    map[string]time.Time // turns whose answer came, and when
}

// hand is one client: it goes on until the gateway is gone.
type hand struct {
	p      *process
	client *http.Client
	s      *shelf
	serial *atomic.Int64
	bucket string
}

func (h *hand) call(method, path, body string, headers ...string) (status int, answer []byte, err error) {
	request, err := http.NewRequest(method, h.p.ready.BaseURL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+h.p.ready.Token)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := h.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (h *hand) content(kind string) string {
	return fmt.Sprintf("%s number %d about bees", kind, h.serial.Add(1))
}

// store stores a memory, and now and then deletes one that is there.
func (h *hand) store() error {
	content := h.content("note")
	status, answer, err := h.call("POST", "/buckets/"+h.bucket+"/memories", fmt.Sprintf(`{"content":%q}`, content))
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%d %s %w", status, answer, orBusy(status, err))
	}
	var out struct{ ID string }
	if err := json.Unmarshal(answer, &out); err != nil {
		return err
	}
	h.s.mu.Lock()
	h.s.stored[content] = out.ID
	h.s.mu.Unlock()
	if rand.IntN(5) > 0 {
		return nil
	}
	h.s.mu.Lock()
	h.s.unsure[content] = true
	h.s.mu.Unlock()
	if status, _, err = h.call("DELETE", "/buckets/"+h.bucket+"/memories/"+out.ID, ""); err == nil && status == http.StatusOK {
		h.s.mu.Lock()
		h.s.deleted[content] = true
		h.s.mu.Unlock()
	}
	return err
}

// orBusy is the error of an answer that was not the one wanted; nil for one
// that may be tried again.
func orBusy(status int, err error) error {
	if err == nil && status != http.StatusTooManyRequests {
		return errors.New("unexpected answer")
	}
	return err
}

// importFile imports a file, again and again until it is acknowledged.
func (h *hand) importFile() error {
	var file bytes.Buffer
	var contents []string
	for range 2500 { // three transactions
		contents = append(contents, h.content("line"))
		fmt.Fprintf(&file, "{\"content\":%q,\"session\":\"imported\"}\n", contents[len(contents)-1])
	}
	return h.untilDone(func() error {
		status, answer, err := h.call("POST", "/buckets/"+h.bucket+"/import", file.String())
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, answer, orBusy(status, err))
		}
		h.s.mu.Lock()
		defer h.s.mu.Unlock()
		for _, c := range contents {
			h.s.stored[c] = ""
		}
		return nil
	})
}

// say has a turn captured, and says it again until there is an answer.
func (h *hand) say() error {
	content := h.content("turn")
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":%q}]}`, content)
	time.Sleep(5 * time.Millisecond) // people speak more slowly than programs store
	return h.untilDone(func() error {
		status, answer, err := h.call("POST", "/chat/completions", body, "Ownkey-Memory", "capture", "Ownkey-Bucket", h.bucket)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %w", status, answer, orBusy(status, err))
		}
		h.s.mu.Lock()
		defer h.s.mu.Unlock()
		h.s.said[content] = time.Now()
		return nil
	})
}

// untilDone tries twice, as an SDK would; the second time the gateway may be
// another.
func (h *hand) untilDone(try func() error) error {
	err := try()
	if err == nil || rand.IntN(2) == 0 {
		return err
	}
	time.Sleep(50 * time.Millisecond)
	return try()
}

// TestMemoryKills kills the gateway in the middle of stores, deletions, imports
// and captures, and counts: what was acknowledged is there and is found, nothing
// is there twice, nothing that was deleted is there, and the book that invoices
// are made of agrees with the store.
func TestMemoryKills(t *testing.T) {
	rounds := 5
	if os.Getenv("OWNKEY_KILLS") == "long" {
		rounds = 25
	}
	data := t.TempDir()
	s := &shelf{stored: map[string]string{}, deleted: map[string]bool{}, unsure: map[string]bool{}, said: map[string]time.Time{}}
	var serial atomic.Int64
	for round := range rounds {
		p := start(t, "dev", "--data", data)
		h := &hand{p, &http.Client{Timeout: 20 * time.Second}, s, &serial, fmt.Sprintf("kept-%d", round/3)}
		var hands sync.WaitGroup
		for _, work := range []func() error{h.store, h.store, h.store, h.importFile, h.say, h.say} {
			hands.Go(func() {
				for err := error(nil); err == nil; {
					err = work()
				}
			})
		}
		time.Sleep(2400*time.Millisecond + rand.N(1200*time.Millisecond))
		killed := time.Now()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		hands.Wait()
		s.mu.Lock()
		for content, at := range s.said {
			if killed.Sub(at) < 2*time.Second {
				delete(s.said, content) // it may have been on its way to the disk
			}
		}
		s.mu.Unlock()
		t.Logf("round %d: %d acknowledged, %d deleted, %d turns", round, len(s.stored), len(s.deleted), len(s.said))
	}
	p := start(t, "dev", "--data", data)
	there := map[string]bool{}
	for n := range (rounds + 2) / 3 {
		h := &hand{p, http.DefaultClient, s, &serial, fmt.Sprintf("kept-%d", n)}
		h.list(t, there)
		h.findSome(t)
	}
	s.compare(t, there)
	p.stop()
	compareBooks(t, data, len(there))
	if len(s.stored) < 100 || len(s.said) < 10 || len(s.deleted) < 5 {
		t.Errorf("too little happened: %d stored, %d said, %d deleted", len(s.stored), len(s.said), len(s.deleted))
	}
}

// list reads the whole bucket, and wants nothing that is there already.
func (h *hand) list(t *testing.T, there map[string]bool) {
	t.Helper()
	for offset := 0; ; offset += 500 {
		status, answer, err := h.call("GET", fmt.Sprintf("/buckets/%s/memories?limit=500&offset=%d", h.bucket, offset), "")
		var page struct {
			Memories []struct{ Content string }
		}
		if err != nil || status != http.StatusOK || json.Unmarshal(answer, &page) != nil {
			t.Fatalf("%d %s %v", status, answer, err)
		}
		for _, m := range page.Memories {
			if there[m.Content] {
				t.Errorf("%q is there twice", m.Content)
			}
			there[m.Content] = true
		}
		if len(page.Memories) == 0 {
			return
		}
	}
}

func (s *shelf) compare(t *testing.T, there map[string]bool) {
	t.Helper()
	for content := range s.stored {
		if !there[content] && !s.unsure[content] {
			t.Errorf("%q was acknowledged and is not there", content)
		}
	}
	for content := range s.deleted {
		if there[content] {
			t.Errorf("%q was deleted and is there", content)
		}
	}
	for content := range s.said {
		if !there[content] {
			t.Errorf("%q was said and is not there", content)
		}
	}
}

// findSome asks for some of what is there.
func (h *hand) findSome(t *testing.T) {
	t.Helper()
	_, answer, err := h.call("GET", "/buckets/"+h.bucket+"/memories?limit=50&offset=100", "")
	var page struct {
		Memories []struct{ Content string }
	}
	if err != nil || json.Unmarshal(answer, &page) != nil || len(page.Memories) == 0 {
		t.Fatalf("%s %v", answer, err)
	}
	for _, m := range page.Memories {
		status, answer, err := h.call("POST", "/query", fmt.Sprintf(`{"query":%q,"buckets":[%q],"options":{"skip_synthesis":true,"top_k":3}}`, m.Content, h.bucket))
		if err != nil || status != http.StatusOK || !strings.Contains(string(answer), m.Content) {
			t.Errorf("%q is not found: %d %v", m.Content, status, err)
		}
	}
}

// compareBooks wants as many memories in the book of events as there are in the
// store, and no event twice.
func compareBooks(t *testing.T, data string, live int) {
	t.Helper()
	ask := func(file, query string) (n int) {
		t.Helper()
		database, err := sql.Open("sqlite", "file:"+filepath.Join(data, file)+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer database.Close()
		if err := database.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := ask(memoryFile, "SELECT count(*) FROM events"); n != 0 {
		t.Errorf("%d events were not handed on", n)
	}
	booked := ask(usageFile, "SELECT sum(CASE op WHEN 'stored' THEN count WHEN 'deleted' THEN -count ELSE 0 END) FROM memory_events")
	if inStore := ask(memoryFile, "SELECT count(*) FROM memories"); booked != inStore || inStore != live {
		t.Errorf("the book of events has %d memories, the store %d, the list %d", booked, inStore, live)
	}
}
