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
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// binary is the program itself, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ownkey-test")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "ownkey")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// process is a running ownkey.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr output
	ready  readiness
}

// output takes what a process prints, and can be read while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes some more.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String gives all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t}
	file := filepath.Join(t.TempDir(), "ready.json")
	p.cmd = exec.Command(binary, append(args, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--ready-file", file)...)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // a developer's own keys are not the platform's
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(b, &p.ready); err != nil {
				t.Fatalf("the ready file is not whole: %v", err)
			}
			return p
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %s", p.stderr.String())
		}
	}
}

// stop ends the process as a supervisor would, and wants it to end well.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("ended with %v: %s", err, p.stderr.String())
	}
}

func (p *process) chat(token, model, content string) (status int, body string) {
	p.t.Helper()
	request, err := http.NewRequest("POST", p.ready.BaseURL+"/chat/completions",
		strings.NewReader(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, model, content)))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(b)
}

// verb runs an admin verb against the process.
func (p *process) verb(stdin string, args ...string) (stdout string, status int) {
	p.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_URL="+p.ready.AdminURL, "OWNKEY_ADMIN_TOKEN="+p.ready.AdminToken)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (p *process) want(stdin string, args ...string) string {
	p.t.Helper()
	out, status := p.verb(stdin, args...)
	if status != 0 {
		p.t.Fatalf("ownkey %s: %d %s", strings.Join(args, " "), status, out)
	}
	return out
}

func TestDevAnswersWithNoAccount(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	status, body := p.chat(p.ready.Token, "gpt-4o-mini", "Hello")
	if status != 200 || !strings.Contains(body, "Hello from the fake provider") {
		t.Errorf("%d %s", status, body)
	}
	p.stop()
	for _, part := range []string{p.ready.BaseURL, p.ready.Token, "provider  fake", "curl ", "python3 ", "node ", `"message":"request done"`, `"message":"stopped"`} {
		if !strings.Contains(p.stderr.String(), part) {
			t.Errorf("%q is not on stderr", part)
		}
	}
}

// TestDevSaysWhoAnswers: the provider of an earlier start goes on to answer, and
// the next start says so; where that is not known any more, the built-in one does.
func TestDevSaysWhoAnswers(t *testing.T) {
	provider, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{"sk-own"}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	data := t.TempDir()
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{"--provider", "local=" + provider.URL(), "--credential", "local=sk-own"}, "local"},
		{[]string{"--provider", "local=" + provider.URL()}, "local"},
		{nil, "fake"},
	} {
		p := start(t, append([]string{"dev", "--data", data}, x.args...)...)
		if status, body := p.chat(p.ready.Token, "gpt-4o-mini", "Hello"); status != 200 || p.ready.Provider != x.want {
			t.Errorf("%v: %q answers: %d %s", x.args, p.ready.Provider, status, body)
		}
		p.stop()
		if !strings.Contains(p.stderr.String(), "provider  "+x.want) {
			t.Errorf("%v: %s", x.args, p.stderr.String())
		}
	}
}

// TestDevKeepsItsState restarts on the same directory, and searches it for
// what must not be there.
func TestDevKeepsItsState(t *testing.T) {
	provider, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{"sk-tenant-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	data := filepath.Join(t.TempDir(), "state")
	args := []string{"dev", "--data", data, "--provider", "openai=" + provider.URL()}
	p := start(t, append(args, "--credential", "openai=sk-tenant-secret")...)
	first := p.ready
	extra := strings.TrimSpace(p.want("", "token", "create", "--tenant", "dev", "--label", "extra"))
	if status, body := p.chat(p.ready.Token, "gpt-4o", "a very secret prompt"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	p.stop()
	log := p.stderr.String()

	again := start(t, args...) // without the credential: it is there already
	if again.ready.Token != first.Token || again.ready.AdminToken != first.AdminToken {
		t.Error("a restart changed the tokens")
	}
	for _, token := range []string{first.Token, extra} {
		if status, body := again.chat(token, "gpt-4o", "a very secret prompt"); status != 200 {
			t.Errorf("after a restart: %d %s", status, body)
		}
	}
	_ = again.cmd.Process.Kill() // and a crash
	_ = again.cmd.Wait()
	last := start(t, args...)
	if status, _ := last.chat(extra, "gpt-4o", "a very secret prompt"); status != 200 {
		t.Errorf("after a crash: %d", status)
	}
	last.stop()
	books, err := db.Open(t.Context(), filepath.Join(data, "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := books.Read.QueryRow("SELECT count(*) FROM requests").Scan(&rows); err != nil || rows != 4 {
		t.Errorf("%d records of 4 calls, %v", rows, err)
	}
	if err := books.Close(); err != nil {
		t.Error(err)
	}

	found := log + last.stderr.String() + again.stderr.String()
	err = filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		b, err := os.ReadFile(path)
		found += string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"sk-tenant-secret", "very secret prompt", "Hello from the fake", extra[15:47]} {
		if strings.Contains(found, secret) {
			t.Errorf("%q is written down", secret)
		}
	}
}

func TestDevDrains(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	request, _ := http.NewRequest("POST", p.ready.BaseURL+"/chat/completions", strings.NewReader(`{"model":"fake:chunks=20,gap=30ms","stream":true,"messages":[]}`))
	request.Header.Set("Authorization", "Bearer "+p.ready.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	b, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasSuffix(string(b), "data: [DONE]\n\n") {
		t.Errorf("the stream in flight was cut: %v", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestAdminVerbs(t *testing.T) {
	p := start(t, "dev", "--data", t.TempDir())
	p.want("", "tenant", "create", "acme", "--name", "Acme")
	put := p.want("sk-acme\n", "credential", "put", "--tenant", "acme", "--provider", "openai", "--organization", "org-1")
	if !strings.Contains(put, "fingerprint ") || strings.Contains(put, "sk-acme") {
		t.Errorf("credential put: %s", put)
	}
	p.want("", "tenant", "update", "acme", "--default-provider", "openai", "--route", "claude-*=anthropic")
	if out := p.want("", "tenant", "list"); !strings.Contains(out, "claude-*=anthropic") {
		t.Errorf("tenant list: %s", out)
	}
	if out := p.want("", "credential", "list", "--tenant", "acme"); !strings.Contains(out, "api.openai.com:443") {
		t.Errorf("credential list: %s", out)
	}
	token := strings.TrimSpace(p.want("", "token", "create", "--tenant", "acme", "--label", "ci", "--model", "gpt-4o*", "--expires", "30d"))
	if status, body := p.chat(token, "claude-3", "x"); status != 403 {
		t.Errorf("a model that is not allowed: %d %s", status, body)
	}
	// What people read of the list is enough for the verbs that take an id.
	lines := strings.Split(strings.TrimSpace(p.want("", "token", "list", "--tenant", "acme")), "\n")
	id, _, _ := strings.Cut(lines[len(lines)-1], " ")
	p.want("", "token", "update", "--tenant", "acme", id, "--limit", "tokens_per_day=2000000")
	var listed struct {
		Tokens []struct {
			ID, Label string
			Models    []string
			Limits    map[string]float64
			Created   time.Time `json:"created_at"`
			Expires   time.Time `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(p.want("", "token", "list", "--tenant", "acme", "--json")), &listed); err != nil || len(listed.Tokens) != 1 {
		t.Fatalf("%v %v", listed, err)
	}
	got := listed.Tokens[0]
	if days := got.Expires.Sub(got.Created).Hours() / 24; got.ID != id || got.Label != "ci" || !slices.Equal(got.Models, []string{"gpt-4o*"}) ||
		got.Limits["tokens_per_day"] != 2_000_000 || days < 29.9 || days > 30.1 {
		t.Errorf("%+v", got)
	}
	p.want("", "token", "revoke", "--tenant", "acme", id)
	if status, _ := p.chat(token, "gpt-4o", "x"); status != 401 {
		t.Errorf("a revoked token: %d", status)
	}
	p.want("", "credential", "delete", "--yes", "--tenant", "acme", "--provider", "openai")
	p.want("", "tenant", "delete", "acme", "--yes")
	for want, args := range map[string][]string{
		"not_found":          {"token", "list", "--tenant", "acme"},
		"not_supported":      {"tenant", "delete", "dev", "--shred", "--yes"},
		"no provider nobody": {"dev", "--credential", "nobody=x"},
		"secret is empty":    {"credential", "put", "--tenant", "dev", "--provider", "openai"},

		"Try: ownkey --help":              {"tenants"},
		"Try: ownkey tenant --help":       {"tenant", "crate"},
		"Try: ownkey token create --help": {"token", "create", "--models", "x"},
	} {
		if out, status := p.verb("", args...); status == 0 || !strings.Contains(out, want) {
			t.Errorf("ownkey %v: %d %s, want %q", args, status, out, want)
		}
	}
}

func TestServeAndCheck(t *testing.T) {
	dir := t.TempDir()
	key, config := filepath.Join(dir, "master.key"), filepath.Join(dir, "ownkey.yaml")
	run := func(args ...string) (string, int) {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN=oka_test_0123456789")
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := run("keygen", key); status != 0 {
		t.Fatalf("%d %s", status, out)
	}
	good := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0', token: '${OWNKEY_ADMIN_TOKEN}'}\ndata: %s\nkeyring: {master_key_file: %s}\n", filepath.Join(dir, "data"), key)
	write := func(s string) {
		if err := os.WriteFile(config, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	if out, status := run("check", "--config", config); status != 0 || !strings.Contains(out, "ok") {
		t.Errorf("%d %s", status, out)
	}
	write(good + "lisen: x\nlog: {level: loud}\n")
	if out, status := run("check", "--config", config); status != 2 || !strings.Contains(out, "ownkey.yaml:5: lisen") || !strings.Contains(out, "ownkey.yaml:6: log.level") {
		t.Errorf("%d %s", status, out)
	}
	write(good)
	cmd := exec.Command(binary, "serve", "--config", config)
	cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN=oka_test_0123456789")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var line struct{ Message, Listen string }
	for lines := json.NewDecoder(stderr); line.Message != "serving"; { // behind a warning, where few files may be open
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.Get("http://" + line.Listen + "/readyz")
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v %v", err, response)
	}
	_ = response.Body.Close()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestEndIsBounded: a process whose end takes too long says so and ends.
func TestEndIsBounded(t *testing.T) {
	if os.Getenv("ENDLESS") != "" {
		endWithin(time.Millisecond)
		select {}
	}
	ended := endWithin(time.Hour) // this one comes to its end by itself
	ended()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEndIsBounded$")
	cmd.Env = append(os.Environ(), "ENDLESS=1")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != brokenOff {
		t.Errorf("%v", err)
	}
	if !strings.Contains(string(out), "broken off") {
		t.Errorf("%s", out)
	}
}
