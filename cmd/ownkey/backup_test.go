package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

const billed = "billing:\n  default_plan: standard\n  plans:\n    standard: {per_1000_memory_months_micro_usd: 1000000, per_1000_retrievals_micro_usd: 500000}\n"

// memoryCall makes a call to the memory API and wants it to succeed.
func (s *stand) memoryCall(method, path, body string) string {
	s.t.Helper()
	status, answer := s.memoryTry(method, path, body)
	if status/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

func (s *stand) memoryTry(method, path, body string) (int, string) {
	request, err := http.NewRequest(method, s.ready.BaseURL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}

// past moves the tenant's creation and its memory events to the month before
// the last one, as far as they are there yet. The gateway is stopped.
func (s *stand) past(to time.Time) {
	s.t.Helper()
	for file, change := range map[string]string{
		databaseFile: fmt.Sprintf("UPDATE tenants SET created_at = %d", to.Unix()),
		usageFile:    fmt.Sprintf("UPDATE memory_events SET at = %[1]d, taken_at = %[1]d", to.UnixMicro()),
	} {
		d, err := db.Open(s.t.Context(), filepath.Join(s.dir, "data", file))
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := d.Write.Exec(change); err != nil {
			s.t.Fatal(file, err)
		}
		if err := d.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// events counts those of memory in the records.
func (s *stand) events() int {
	return strings.Count(s.want("", "records", "--tenant", "acme", "--book", "memory", "--from", "2020-01-01T00:00:00Z"), "\n")
}

// balance is how many memories the events say there are.
func (s *stand) balance() (n int) {
	s.t.Helper()
	for line := range strings.Lines(s.want("", "records", "--tenant", "acme", "--book", "memory", "--from", "2020-01-01T00:00:00Z")) {
		var e struct {
			Op    string
			Count int
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatal(err)
		}
		n += map[string]int{"stored": e.Count, "deleted": -e.Count}[e.Op]
	}
	return n
}

// month is an invoice without what differs between two drafts by the time they
// were made at.
func (s *stand) month(of string) string {
	s.t.Helper()
	var all map[string]any
	text := s.want("", "invoice", "--tenant", "acme", "--month", of, "--json")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		s.t.Fatal(err)
	}
	if all["state"] == "closed" {
		return text // byte for byte
	}
	delete(all, "watermark")
	left, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(left)
}

// TestBackupIsWhole takes a backup while clients store, delete and call, and
// restores it elsewhere: invoices of a closed and an open month are the same,
// every event of a memory that is there is on the books, and calls go on.
func TestBackupIsWhole(t *testing.T) {
	s := newStand(t, billed)
	now := time.Now().UTC()
	open := now.Format("2006-01")
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	closed := month.AddDate(0, -2, 0)

	for i := range 20 {
		s.memoryCall("POST", "/buckets/default/memories", fmt.Sprintf(`{"content":"The harbour master of quay %d is called Number%d."}`, i, i))
	}
	s.eventually("20 events", func() bool { return s.events() == 20 })
	s.stop()
	s.past(closed.AddDate(0, 0, 3))
	setAside := filepath.Join(s.dir, "data", ledgerDir, "quarantine", "ledger-1.damaged")
	if err := errors.Join(os.MkdirAll(filepath.Dir(setAside), 0o700), os.WriteFile(setAside, []byte("a frame"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s.serve()
	first := s.month(closed.Format("2006-01"))
	if !strings.Contains(first, `"closed"`) {
		t.Fatal(first)
	}
	// Under load: memories come and go, and calls are made.
	var clients sync.WaitGroup
	var stop atomic.Bool
	for c := range 3 {
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				s.memoryCall("POST", fmt.Sprintf("/buckets/load-%d/memories", c), fmt.Sprintf(`{"content":"Ship %d of client %d has left."}`, i, c))
				if i%5 == 4 {
					s.memoryCall("DELETE", fmt.Sprintf("/buckets/load-%d/memories", c), "")
				}
				if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 200 {
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	archives := []string{filepath.Join(s.dir, "one.tar.gz"), filepath.Join(s.dir, "two.tar.gz")}
	for _, file := range archives {
		s.want("", "backup", "--config", s.config, file)
	}
	stop.Store(true)
	clients.Wait()
	before := s.month(closed.Format("2006-01"))
	if before != first {
		t.Errorf("the closed month changed under load")
	}

	// Elsewhere, from standard input and output, when nothing moves.
	s.eventually("a store that is up to date", func() bool { return !strings.Contains(s.month(open), `"adjustments":[{`) })
	if exec.Command(binary, "backup", "--config", s.config, "-").Run() == nil {
		t.Fatal("the environment was not given, and the configuration was read")
	}
	cmd := exec.Command(binary, "backup", "--config", s.config, "-")
	cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+s.ready.AdminToken)
	quiet, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	drafts := s.drafts(open)
	events := s.events()
	s.stop()

	data := filepath.Join(s.dir, "data")
	restore := func(archive io.Reader, file string) {
		t.Helper()
		if err := os.Rename(data, filepath.Join(t.TempDir(), "before")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "restore", "--config", s.config, file)
		cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+s.ready.AdminToken)
		cmd.Stdin = archive
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	restore(bytes.NewReader(quiet), "-")
	s.serve()
	if after := s.month(closed.Format("2006-01")); after != before {
		t.Errorf("the closed month was\n%s\nand is\n%s", before, after)
	}
	if after := s.drafts(open); after != drafts {
		t.Errorf("the open month was\n%s\nand is\n%s", drafts, after)
	}
	if n := s.events(); n != events {
		t.Errorf("%d events, %d before", n, events)
	}
	for _, file := range archives { // those that were taken under load
		s.stop()
		restore(nil, file)
		s.serve()
		if after := s.month(closed.Format("2006-01")); after != before {
			t.Errorf("%s: the closed month was\n%s\nand is\n%s", file, before, after)
		}
		s.sameNumber(file)
		if text, err := os.ReadFile(setAside); err != nil || string(text) != "a frame" {
			t.Errorf("%s: what was set aside is lost: %q %v", file, text, err)
		}
		if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 200 {
			t.Errorf("%s: %d %s", file, status, body)
		}
	}

	// Without the events of the closed month there is no invoice, and no credit.
	s.stop()
	s.lose()
	s.serve()
	if after := s.month(closed.Format("2006-01")); after != before {
		t.Errorf("the closed month was\n%s\nand is\n%s", before, after)
	}
	if out, status := s.verb("", "invoice", "--tenant", "acme", "--month", open); status == 0 || !strings.Contains(out, "are missing from the store") {
		t.Errorf("an invoice without its events: %d %s", status, out)
	}
}

// lose deletes the events of a store that is there, as a restore of less than
// all would.
func (s *stand) lose() {
	s.t.Helper()
	d, err := db.Open(s.t.Context(), filepath.Join(s.dir, "data", usageFile))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := d.Write.Exec("DELETE FROM memory_events"); err != nil {
		s.t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// drafts is what an open month charges for, without the time that memories were
// held until now.
func (s *stand) drafts(month string) string {
	var d struct {
		Total       any
		Adjustments []any
		Events      int
		SHA256      string `json:"events_sha256"`
	}
	if err := json.Unmarshal([]byte(s.want("", "invoice", "--tenant", "acme", "--month", month, "--json")), &d); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%d events %s, adjustments %v", d.Events, d.SHA256, d.Adjustments)
}

// sameNumber wants as many memories to be there as the events for the bill say.
func (s *stand) sameNumber(what string) {
	s.t.Helper()
	s.eventually(what+": events for all memories", func() bool {
		memories := 0
		d, err := db.Open(s.t.Context(), filepath.Join(s.dir, "data", memoryFile))
		if err != nil {
			s.t.Fatal(err)
		}
		defer d.Close()
		if err := d.Read.QueryRow("SELECT count(*) FROM memories").Scan(&memories); err != nil {
			s.t.Fatal(err)
		}
		return memories == s.balance()
	})
}

// TestRestoreRefuses: nothing is written for an archive that is not whole, not
// ours or not authentic, nor over data.
func TestRestoreRefuses(t *testing.T) {
	p := start(t, "dev", "--data", filepath.Join(t.TempDir(), "data"))
	data := p.cmd.Args[3]
	dir := t.TempDir()
	file := filepath.Join(dir, "good.tar.gz")
	p.want("", "backup", "--data", data, file)
	if out, status := p.verb("", "backup", "--data", data, file); status == 0 || !strings.Contains(out, "exists") {
		t.Errorf("an existing file: %d %s", status, out)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(data, devKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if out, status := p.verb("", "restore", "--data", data, file); status == 0 || !strings.Contains(out, "is there") {
		t.Errorf("over data: %d %s", status, out)
	}
	changed := bytes.Clone(good)
	changed[len(changed)/2] ^= 1
	old, err := os.ReadFile("testdata/backup-v1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.key")
	p.want("", "keygen", foreign)
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		archive, key []byte
		want         string
	}{
		"cut":                  {good[:len(good)-20], key, "cut or damaged"},
		"cut in the middle":    {good[:len(good)/2], key, "cut or damaged"},
		"changed":              {changed, key, "cut or damaged"},
		"another installation": {good, other, "not written with this keyring"},
		"no archive":           {[]byte("hello"), key, "not an archive"},
		"empty":                {nil, key, "not an archive"},
		"of the first format":  {old, key, "ownkey-backup-v1"},
	} {
		into := filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(into, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(into, devKeyFile), c.key, 0o600); err != nil {
			t.Fatal(err)
		}
		out, status := p.verb(string(c.archive), "restore", "--data", into, "-")
		if status == 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s", name, status, out)
		}
		if left, err := os.ReadDir(into); err != nil || len(left) != 1 {
			t.Errorf("%s: left %v %v", name, left, err)
		}
	}
	p.stop()

	// A restore that was interrupted is not served.
	half := t.TempDir()
	if err := os.WriteFile(filepath.Join(half, devKeyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(half, restoringDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"dev", "--data", half, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, {"restore", "--data", half, file}} {
		if out, status := p.verb("", args...); status == 0 || !strings.Contains(out, "was interrupted") {
			t.Errorf("%v: %d %s", args, status, out)
		}
	}
}

// TestBackupHasWhatWaitsForClickHouse: batches that no server has taken yet are in
// the archive, and on the disk again after a restore.
func TestBackupHasWhatWaitsForClickHouse(t *testing.T) {
	s := newStand(t, "meter: {clickhouse: {url: 'http://127.0.0.1:1', timeout: 1s}}\n")
	for range 5 {
		if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	data := filepath.Join(s.dir, "data")
	waiting := func() (names []string) {
		found, err := filepath.Glob(filepath.Join(data, segmentsDir, "*.segment"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, filepath.Base(f))
		}
		return names
	}
	s.eventually("a segment", func() bool { return len(waiting()) > 0 })
	s.stop()
	before := waiting()
	archive := filepath.Join(s.dir, "backup.tar.gz")
	s.want("", "backup", "--config", s.config, archive)
	if err := os.Rename(data, data+"-before"); err != nil {
		t.Fatal(err)
	}
	s.want("", "restore", "--config", s.config, archive)
	if after := waiting(); len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("before %v, after the restore %v", before, after)
	}
}
