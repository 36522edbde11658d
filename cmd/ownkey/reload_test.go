package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// change edits the configuration file.
func (s *stand) change(old, next string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil || !strings.Contains(string(text), old) {
		s.t.Fatalf("%v: nothing to change: %s in %s", err, old, text)
	}
	if err := os.WriteFile(s.config, []byte(strings.Replace(string(text), old, next, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// reload sends SIGHUP and waits until the log says what came of it; it gives
// what was logged.
func (s *stand) reload(taken bool) (logged string) {
	s.t.Helper()
	from := len(s.stderr.String())
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	want := map[bool]string{true: "the configuration was reloaded", false: "the configuration was not reloaded"}[taken]
	s.eventually("the log says: "+want, func() bool { logged = s.stderr.String()[from:]; return strings.Contains(logged, want) })
	return logged
}

// metric gives a metric's value, as it is written.
func (s *stand) metric(name string) string {
	s.t.Helper()
	for line := range strings.SplitSeq(s.adminGet("/metrics"), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	s.t.Fatalf("no metric %s", name)
	return ""
}

// adminGet asks the admin plane with the token that the stand knows.
func (s *stand) adminGet(path string) string {
	s.t.Helper()
	status, body := s.adminAsk(s.ready.AdminToken, path)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

func (s *stand) adminAsk(token, path string) (status int, body string) {
	s.t.Helper()
	request, err := http.NewRequest("GET", s.ready.AdminURL+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// openStream begins a stream of n chunks, 20 ms apart, and reads its first line.
func (s *stand) openStream(n int) *bufio.Reader {
	s.t.Helper()
	request, err := http.NewRequest("POST", s.ready.BaseURL+"/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":"openai/fake:chunks=%d,gap=20ms","stream":true,"messages":[{"role":"user","content":"x"}]}`, n)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%v %v", response, err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	events := bufio.NewReader(response.Body)
	if _, err := events.ReadString('\n'); err != nil {
		s.t.Fatal(err)
	}
	return events
}

// whole reports how a stream ended that it read to its end.
func whole(events io.Reader) error {
	rest, err := io.ReadAll(events)
	if err == nil && !strings.HasSuffix(strings.TrimSpace(string(rest)), "data: [DONE]") {
		err = fmt.Errorf("ended with %q", rest[max(0, len(rest)-100):])
	}
	return err
}

// TestReload sends SIGHUP to a gateway that serves. A stream goes on to its end
// over all of it.
func TestReload(t *testing.T) {
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("oka_test_0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, "billing: {default_plan: pro, plans: {pro: {flat_fee_micro_usd: 1000000}}}\nlog: {level: info}\n")
	second, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{"sk-second-0123456789"}, Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := s.metric("ownkey_config_last_reload_successful"); got != "1" {
		t.Errorf("after the start: %s", got)
	}
	events := s.openStream(200)

	// A provider is repointed. The credential was stored for another address, so
	// it is not sent to this one.
	s.change(s.provider.URL(), second.URL())
	if logged := s.reload(true); !strings.Contains(logged, `"keys":["providers.openai.base_url"]`) {
		t.Errorf("%s", logged)
	}
	if status, body := s.chat(s.token, "openai/gpt-4o", "x"); status != http.StatusPreconditionFailed || !strings.Contains(body, "store it again") {
		t.Errorf("with the credential for the address before: %d %s", status, body)
	}
	s.want("sk-second-0123456789", "credential", "put", "--tenant", "acme", "--provider", "openai")
	if status, body := s.chat(s.token, "openai/gpt-4o", "x"); status != http.StatusOK || len(second.Requests()) != 1 {
		t.Errorf("the new address: %d %s, %d requests", status, body, len(second.Requests()))
	}

	// One more header passes to it, and then no longer.
	pass := func(want string) {
		t.Helper()
		request, err := http.NewRequest("POST", s.ready.BaseURL+"/chat/completions", strings.NewReader(`{"model":"openai/gpt-4o","messages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}, "X-Team": {"blue"}, "X-Codex-Turn-State": {"ts"}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		all := second.Requests()
		if got := all[len(all)-1].Header; response.StatusCode != http.StatusOK || got.Get("X-Team") != want || got.Get("X-Codex-Turn-State") != "ts" {
			t.Errorf("%d, the provider got %v, want X-Team %q", response.StatusCode, got, want)
		}
	}
	pass("")
	s.change("openai: {base_url", "openai: {request_headers: [x-team], base_url")
	if logged := s.reload(true); !strings.Contains(logged, `"keys":["providers.openai.request_headers"]`) {
		t.Errorf("%s", logged)
	}
	pass("blue")
	s.change("request_headers: [x-team], ", "")
	s.reload(true)
	pass("")

	// A provider comes and goes.
	s.change("providers:\n", "providers:\n  local: {base_url: '"+second.URL()+"'}\n")
	s.reload(true)
	s.want("sk-second-0123456789", "credential", "put", "--tenant", "acme", "--provider", "local")
	if status, body := s.chat(s.token, "local/gpt-4o", "x"); status != http.StatusOK {
		t.Errorf("a new provider: %d %s", status, body)
	}
	s.change("  local: {base_url: '"+second.URL()+"'}\n", "")
	s.reload(true)
	if _, status := s.verb("sk-x", "credential", "put", "--tenant", "acme", "--provider", "local"); status == 0 {
		t.Error("a provider that is gone takes a credential")
	}

	// A broken file changes nothing, and all that is wrong is logged.
	before := s.metric("ownkey_config_last_reload_success_timestamp_seconds")
	s.change("log: {level: info}", "log: {level: loud}\nlimits: {queue_time: soon}\nrunaway: {webhook_secret: hunter2hunter2}")
	s.change("'${OWNKEY_ADMIN_TOKEN}'", "'${SOMETHING_NEW}'")
	logged := s.reload(false)
	for _, want := range []string{"log.level", "limits.queue_time", "runaway.webhook_secret", "SOMETHING_NEW", "restart it"} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log does not name %s: %s", want, logged)
		}
	}
	if strings.Contains(logged, "hunter2") || s.metric("ownkey_config_last_reload_successful") != "0" || s.metric("ownkey_config_last_reload_success_timestamp_seconds") != before {
		t.Errorf("%s", logged)
	}
	if status, body := s.chat(s.token, "openai/gpt-4o", "x"); status != http.StatusOK {
		t.Errorf("after a broken file: %d %s", status, body)
	}

	// It is mended, with other prices, another level of the log, and something
	// that waits for a restart.
	invoice := func() string { return s.adminGet("/admin/v1/invoices/acme/" + time.Now().UTC().Format("2006-01")) }
	if text := invoice(); !strings.Contains(text, "1000000") {
		t.Errorf("%s", text)
	}
	s.change("log: {level: loud}\nlimits: {queue_time: soon}\nrunaway: {webhook_secret: hunter2hunter2}", "log: {level: debug}\nlimits: {max_header_bytes: 8192}")
	s.change("'${SOMETHING_NEW}'", "{file: "+tokenFile+"}")
	s.change("flat_fee_micro_usd: 1000000", "flat_fee_micro_usd: 2345678")
	logged = s.reload(true)
	if !strings.Contains(logged, `"keys":["limits.max_header_bytes"],"time"`) || !strings.Contains(logged, `"billing.plans.pro.flat_fee_micro_usd"`) {
		t.Errorf("%s", logged)
	}
	if text := invoice(); !strings.Contains(text, "2345678") {
		t.Errorf("%s", text)
	}
	s.adminGet("/metrics") // which is logged at debug only
	s.eventually("the level is debug", func() bool { return strings.Contains(s.stderr.String(), `"call":"GET /metrics"`) })

	// Another admin token, from a file.
	if err := os.WriteFile(tokenFile, []byte("another-token-9876543210"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.reload(true)
	if status, _ := s.adminAsk("oka_test_0123456789", "/admin/v1/tenants"); status != http.StatusUnauthorized {
		t.Errorf("the token before: %d", status)
	}
	s.ready.AdminToken = "another-token-9876543210"
	if status, body := s.adminAsk(s.ready.AdminToken, "/admin/v1/tenants"); status != http.StatusOK {
		t.Errorf("the new token: %d %s", status, body)
	}
	if strings.Contains(s.stderr.String(), "another-token") {
		t.Error("the log shows a token")
	}
	if err := whole(events); err != nil {
		t.Errorf("the stream: %v", err)
	}

	// While it stops it is of no effect: the stream that is open ends well.
	events = s.openStream(50)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.eventually("it stops", func() bool { return strings.Contains(s.stderr.String(), `"stopping"`) })
	for range 3 {
		_ = s.cmd.Process.Signal(syscall.SIGHUP)
	}
	if err := whole(events); err != nil {
		t.Errorf("the stream during a stop: %v", err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestHangupWhileStarting: signals that come while the configuration is being
// read, which here comes from a pipe, are one reload when the gateway serves.
func TestHangupWhileStarting(t *testing.T) {
	s := newStand(t, "")
	s.stop()
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	file := s.config
	s.config = filepath.Join(s.dir, "pipe.yaml")
	if err := syscall.Mkfifo(s.config, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	pipe, err := os.OpenFile(s.config, os.O_WRONLY, 0) // returns when the gateway reads
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_ = s.cmd.Process.Signal(syscall.SIGHUP)
	}
	if err := os.Rename(file, s.config); err != nil { // what the reload reads
		t.Fatal(err)
	}
	_, err = pipe.Write(text)
	if err := errors.Join(err, pipe.Close()); err != nil {
		t.Fatal(err)
	}
	s.eventually("it serves and has reloaded", func() bool { return strings.Contains(s.stderr.String(), "the configuration was reloaded") })
	if status, body := s.chat(s.token, "openai/gpt-4o", "x"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	s.stop()
}

// TestHangupOfDev: there is nothing to reload, and it goes on.
func TestHangupOfDev(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(p.stderr.String(), "there is no configuration file to reload"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s", p.stderr.String())
		}
	}
	if status, body := p.chat(p.ready.Token, "gpt-4o", "x"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	p.stop()
}
