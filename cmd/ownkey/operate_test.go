package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTenantIsSuspended: its calls are refused with the reason, everybody else's
// go on, and after resume its own do.
func TestTenantIsSuspended(t *testing.T) {
	s := newStand(t, "")
	s.want("", "tenant", "create", "other")
	s.want(goodKey, "credential", "put", "--tenant", "other", "--provider", "openai")
	other := strings.TrimSpace(s.want("", "token", "create", "--tenant", "other"))
	s.want("", "tenant", "suspend", "acme")
	s.want("", "tenant", "suspend", "acme") // again is no error
	if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 403 || !strings.Contains(body, `"not_allowed"`) || !strings.Contains(body, "suspended") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := s.memoryTry("POST", "/buckets/default/memories", `{"content":"x"}`); status != 403 {
		t.Errorf("memory of a suspended tenant: %d %s", status, body)
	}
	if status, body := s.chat(other, "gpt-4o", "hello"); status != 200 {
		t.Errorf("another tenant: %d %s", status, body)
	}
	if out := s.want("", "tenant", "show", "acme"); !strings.Contains(out, "openai/default") || strings.Contains(out, "suspended  -") {
		t.Errorf("tenant show: %s", out)
	}
	s.want("", "tenant", "resume", "acme")
	if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 200 {
		t.Errorf("after resume: %d %s", status, body)
	}
	for by, want := range map[string]string{"tenant": "acme", "provider": "openai"} {
		if out := s.want("", "usage", "--by", by, "--from", "yesterday"); !strings.Contains(out, want) {
			t.Errorf("usage --by %s: %s", by, out)
		}
	}
	if out, status := s.verb("", "usage", "--from", "tomorrow"); status != 2 || !strings.Contains(out, "2 hours ago") {
		t.Errorf("a time that is none: %d %s", status, out)
	}
}

// TestListsFollowPages makes more tenants than the admin plane gives at once.
func TestListsFollowPages(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	client := &AdminFlags{AdminURL: p.ready.AdminURL, AdminToken: p.ready.AdminToken}
	const n = 1003
	for i := range n {
		if _, err := client.call("POST", "/tenants", map[string]string{"id": fmt.Sprintf("t-%04d", i)}, nil); err != nil {
			if strings.Contains(err.Error(), "rate") { // the admin plane is not made for that many
				t.Fatal(err)
			}
			t.Fatal(err)
		}
	}
	if out := p.want("", "tenant", "list"); strings.Count(out, "\n") != n+2 { // a head, and dev
		t.Errorf("%d lines", strings.Count(out, "\n"))
	}
	var all struct{ Tenants []struct{ ID string } }
	if err := json.Unmarshal([]byte(p.want("", "tenant", "list", "--json")), &all); err != nil || len(all.Tenants) != n+1 {
		t.Errorf("%d tenants, %v", len(all.Tenants), err)
	}
	if out := p.want("", "tenant", "list", "--limit", "7"); strings.Count(out, "\n") != 8 {
		t.Errorf("--limit 7: %s", out)
	}
}

// TestDeletionIsConfirmed: a script says --yes, a person types the name.
func TestDeletionIsConfirmed(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	p.want("", "tenant", "create", "acme")
	for _, args := range [][]string{{"tenant", "delete", "acme"}, {"credential", "delete", "--tenant", "acme", "--provider", "openai"}} {
		if out, status := p.verb("acme\n", args...); status != 2 || !strings.Contains(out, "--yes") {
			t.Errorf("%v without anybody to ask: %d %s", args, status, out)
		}
	}
	p.want("", "tenant", "show", "acme")
	p.want("", "tenant", "delete", "acme", "--yes")
	for typed, ok := range map[string]bool{"acme\n": true, "acme": true, "acm\n": false, "\n": false, "": false, "y\n": false} {
		var asked bytes.Buffer
		if err := confirmBy(strings.NewReader(typed), &asked, "tenant acme", "acme"); (err == nil) != ok || !strings.Contains(asked.String(), "Type acme") {
			t.Errorf("%q: %v, asked %q", typed, err, asked.String())
		}
	}
}

// TestShellAndManual: completion, version and manual page are the program's own.
func TestShellAndManual(t *testing.T) {
	complete := func(line string) string {
		cmd := exec.Command(binary)
		cmd.Env = append(os.Environ(), "COMP_LINE="+line, fmt.Sprintf("COMP_POINT=%d", len(line)))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if out := complete("ownkey tenant s"); !strings.Contains(out, "show") || !strings.Contains(out, "suspend") {
		t.Errorf("completion: %q", out)
	}
	if out := complete("ownkey usage --b"); !strings.Contains(out, "--by") {
		t.Errorf("completion of flags: %q", out)
	}
	for want, args := range map[string][]string{
		".TH OWNKEY 1": {"--man"}, "ownkey ": {"--version"}, "complete -C ownkey": {"completion", "bash"},
	} {
		if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("ownkey %v: %v %.300s", args, err, out)
		}
	}
}
