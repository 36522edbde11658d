package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// stand is `ownkey serve` on one machine's defaults: local keyring, SQLite, a
// fake provider; with the tenant acme, its credential and a token.
type stand struct {
	*process
	provider *fakeprovider.Server
	binary   string
	dir      string
	config   string
	env      []string
	wrap     []string // command that runs the gateway, before its own words
	token    string
}

// newStand sets a gateway up and starts it. more is added to the configuration.
func newStand(t *testing.T, more string, change ...func(*stand)) *stand {
	t.Helper()
	s := &stand{process: &process{t: t}, binary: binary, dir: t.TempDir()}
	for _, c := range change {
		c(s)
	}
	var err error
	if s.provider, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{goodKey}, Journal: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.provider.Close() })
	s.config = filepath.Join(s.dir, "ownkey.yaml")
	listen, admin := freePort(t), freePort(t)
	text := fmt.Sprintf("listen: %s\nadmin: {listen: '%s', token: '${OWNKEY_ADMIN_TOKEN}'}\ndata: %s\nkeyring: {master_key_file: %s}\nproviders:\n  openai: {base_url: '%s'}\n%s",
		listen, admin, filepath.Join(s.dir, "data"), filepath.Join(s.dir, "master.key"), s.provider.URL(), more)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ready = readiness{BaseURL: "http://" + listen + "/v1", AdminURL: "http://" + admin, AdminToken: "oka_test_0123456789"}
	s.want("", "keygen", filepath.Join(s.dir, "master.key"))
	s.serve()
	s.want("", "tenant", "create", "acme")
	s.want(goodKey, "credential", "put", "--tenant", "acme", "--provider", "openai")
	s.token = strings.TrimSpace(s.want("", "token", "create", "--tenant", "acme"))
	return s
}

// start starts the gateway.
func (s *stand) start() {
	s.t.Helper()
	words := append(slices.Clone(s.wrap), s.binary, "serve", "--config", s.config)
	s.cmd = exec.Command(words[0], words[1:]...)
	s.cmd.Env = append(append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+s.ready.AdminToken), s.env...)
	s.cmd.Stderr = &s.stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd := s.cmd
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// serve starts the gateway and waits until its admin plane answers.
func (s *stand) serve() {
	s.t.Helper()
	s.start()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if response, err := http.Get(s.ready.AdminURL + "/metrics"); err == nil {
			response.Body.Close()
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("not serving: %s", s.stderr.String())
		}
	}
}

func (s *stand) kill() {
	s.t.Helper()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *stand) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within 30 s: %s; log: %s", what, s.stderr.String())
		}
	}
}

// TestADataDirectoryHasOneGateway: a second one is refused, and learns which
// process has the directory; the first one goes on.
func TestADataDirectoryHasOneGateway(t *testing.T) {
	s := newStand(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(strings.ReplaceAll(string(text), strings.TrimSuffix(strings.TrimPrefix(s.ready.BaseURL, "http://"), "/v1"), freePort(t)),
		strings.TrimPrefix(s.ready.AdminURL, "http://"), freePort(t))
	second := filepath.Join(s.dir, "second.yaml")
	if err := os.WriteFile(second, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := s.verb("", "serve", "--config", second); status == 0 || !strings.Contains(out, fmt.Sprintf("number %d", s.cmd.Process.Pid)) {
		t.Errorf("a second gateway: %d %s", status, out)
	}
	if status, body := s.chat(s.token, "gpt-4o", "Hello"); status != 200 {
		t.Errorf("the first one: %d %s", status, body)
	}
}

// TestNoCredentialOfThePlatform: a provider's key in the environment is used for
// nobody, and the configuration has no place for one. A tenant without a
// credential is refused, and no provider hears of it.
func TestNoCredentialOfThePlatform(t *testing.T) {
	s := newStand(t, "", func(s *stand) {
		for _, name := range []string{"OPENAI_API_KEY", "OPENAI_KEY", "ANTHROPIC_API_KEY", "OWNKEY_CREDENTIAL", "OWNKEY_OPENAI_API_KEY"} {
			s.env = append(s.env, name+"="+goodKey)
		}
	})
	s.want("", "tenant", "create", "poor")
	poor := strings.TrimSpace(s.want("", "token", "create", "--tenant", "poor"))
	before := len(s.provider.Requests())
	for _, model := range []string{"openai/gpt-4o", "gpt-4o", "anthropic/claude-4"} {
		if status, body := s.chat(poor, model, "Hello"); status != http.StatusPreconditionFailed || !strings.Contains(body, "credential_missing") {
			t.Errorf("%s: %d %s", model, status, body)
		}
	}
	if n := len(s.provider.Requests()) - before; n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
	if status, body := s.chat(s.token, "gpt-4o", "Hello"); status != http.StatusOK { // the double is there
		t.Errorf("a tenant with a credential: %d %s", status, body)
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"api_key", "credential", "secret", "token"} {
		config := filepath.Join(s.dir, key+".yaml")
		if err := os.WriteFile(config, []byte(strings.Replace(string(text), "openai: {", "openai: {"+key+": x, ", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, status := s.verb("", "check", "--config", config); status != 2 || !strings.Contains(out, "providers.openai."+key) {
			t.Errorf("a provider with %s: %d %s", key, status, out)
		}
	}
}

// TestServeWritesToItsDataOnly: where nothing but the data directory can be
// written to, as in a container with --read-only, calls, memories, records and a
// second start go on as anywhere.
func TestServeWritesToItsDataOnly(t *testing.T) {
	s := newStand(t, "", func(s *stand) {
		data := filepath.Join(s.dir, "data")
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		s.wrap = []string{"unshare", "--map-root-user", "--mount", "sh", "-c", `mount --bind "$0" "$0" && mount -o remount,bind,ro / && ! touch "$0/../x" 2>/dev/null && exec "$@"`, data}
	})
	for range 2 {
		s.chatsOnce()
		s.memoryCall("POST", "/buckets/default/memories", `{"content":"Ada keeps bees on the roof."}`)
		if status, body := s.memoryTry("POST", "/query", `{"query":"bees","options":{"skip_synthesis":true}}`); status != 200 || !strings.Contains(body, "on the roof") {
			t.Errorf("%d %s", status, body)
		}
		s.memoryCall("DELETE", "/buckets/default/memories", "")
		s.eventually("a record", func() bool {
			return strings.Contains(s.want("", "records", "--tenant", "acme"), `"endpoint":"chat_completions"`)
		})
		for _, verb := range []string{"usage", "evidence"} {
			if out := s.want("", verb, "--tenant", "acme", "--json"); !strings.Contains(out, "openai") && verb == "evidence" {
				t.Errorf("%s: %s", verb, out)
			}
		}
		s.stop()
		s.serve()
	}
}
