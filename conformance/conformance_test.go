package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// The tenant's credentials: what the provider must see, and nobody else.
const (
	openaiKey    = "sk-conformance-openai-4f1d"
	anthropicKey = "sk-ant-conformance-9b2c"
	// prompt is in what the suites ask.
	prompt = "canary-prompt"
)

// suiteLimit is far above what a suite takes (12 s on two cores).
const suiteLimit = 3 * time.Minute

// TestOfficialSDKs runs every suite against one gateway, then looks at what the
// provider and the disk have seen.
func TestOfficialSDKs(t *testing.T) {
	t.Cleanup(func() { neverCached(t) })
	provider, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{openaiKey, anthropicKey}, Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	binary := buildGateway(t)
	dev, impatient := startDev(t, binary, provider.URL()), startServe(t, binary, provider.URL())
	env := environment(dev, impatient, serveJournal(t, provider))

	python, node := installPython(t), installNode(t)
	for _, s := range []suite{
		{"python/openai", []string{python, "python/openai_suite.py"}},
		{"python/openai_failures", []string{python, "python/openai_failures.py"}},
		{"python/anthropic", []string{python, "python/anthropic_suite.py"}},
		{"node/openai", []string{"node", filepath.Join(node, "openai.mjs")}},
		{"node/anthropic", []string{"node", filepath.Join(node, "anthropic.mjs")}},
		{"go/openai", []string{buildGo(t)}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, env) })
	}
	t.Run("quickstart/python", func(t *testing.T) { quickstart(t, env, python, "quickstart/stream.py") })
	t.Run("quickstart/node", func(t *testing.T) { quickstart(t, env, "node", filepath.Join(node, "stream.mjs")) })

	t.Run("the provider saw the tenant's credentials only", func(t *testing.T) { credentialsOnly(t, provider, dev, impatient) })
	for name, g := range map[string]*gateway{"dev": dev, "serve": impatient} {
		t.Run(name+" stopped and left nothing readable", func(t *testing.T) {
			g.stop(t)
			nothingReadable(t, g.dir)
		})
	}
}

// neverCached keeps go test from repeating a success that another gateway had:
// what `go build` reads is unknown to it. It does not cache a test that has read
// a file of the module which is younger than two seconds (cmd/go, test.go,
// modTimeCutoff).
func neverCached(t *testing.T) {
	path := filepath.Join(toolsDir, "last-run")
	if err := errors.Join(os.MkdirAll(toolsDir, 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
		t.Error(err)
	}
	if _, err := os.ReadFile(path); err != nil {
		t.Error(err)
	}
}

// environment is all that a suite gets: addresses and tokens, and nothing of
// ours that a real client would not have but the journal.
func environment(dev, impatient *gateway, journal string) []string {
	account := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return "org-" + hex.EncodeToString(sum[:4])
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"OPENAI_BASE_URL=" + dev.origin + "/v1", "OPENAI_API_KEY=" + dev.token,
		"ANTHROPIC_BASE_URL=" + dev.origin, "ANTHROPIC_API_KEY=" + dev.token,
		"IMPATIENT_BASE_URL=" + impatient.origin, "IMPATIENT_API_KEY=" + impatient.token,
		"OPENAI_ACCOUNT=" + account(openaiKey), "ANTHROPIC_ACCOUNT=" + account(anthropicKey),
		"JOURNAL_URL=" + journal,
	}
}

// suite is a program that reports "ok NAME" or "not ok NAME REASON" for each of
// its checks.
type suite struct {
	name    string
	command []string
}

func (s suite) run(t *testing.T, env []string) {
	out, errs, err := output(t, env, s.command...)
	checks := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "ok "); ok {
			checks++
			t.Run(name, func(*testing.T) {})
		} else if rest, ok := strings.CutPrefix(line, "not ok "); ok {
			checks++
			name, reason, _ := strings.Cut(rest, " ")
			t.Run(name, func(t *testing.T) { t.Error(reason) })
		}
	}
	if checks == 0 || err != nil && !t.Failed() {
		t.Errorf("the suite broke off after %d checks: %v\n%s%s", checks, err, out, errs)
	}
}

func quickstart(t *testing.T, env []string, command ...string) {
	out, errs, err := output(t, env, command...)
	if err != nil || string(out) != "Hello from the fake provider: you are connected.\n" {
		t.Errorf("%v: %s%s", err, out, errs)
	}
}

func output(t *testing.T, env []string, command ...string) (out, errs []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = env, &stdout, &stderr, time.Second
	err = cmd.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// credentialsOnly: every request was paid by the credential for its provider,
// presented in that provider's way, and carried no token.
func credentialsOnly(t *testing.T, provider *fakeprovider.Server, gateways ...*gateway) {
	requests := provider.Requests()
	if len(requests) < 100 {
		t.Errorf("only %d requests arrived", len(requests))
	}
	for _, r := range requests {
		bearer, key := r.Header.Get("Authorization"), r.Header.Get("X-Api-Key")
		toOpenAI := bearer == "Bearer "+openaiKey && key == ""
		toAnthropic := bearer == "" && key == anthropicKey
		if !toOpenAI && !toAnthropic {
			t.Errorf("%s %s came with another credential than the tenant's", r.Method, r.Path)
		}
		for name, values := range r.Header {
			for _, g := range gateways {
				if strings.Contains(strings.Join(values, " "), g.token) {
					t.Errorf("%s %s: the token came along in %s", r.Method, r.Path, name)
				}
			}
			if strings.HasPrefix(name, "Ownkey-") || name == "Cookie" {
				t.Errorf("%s %s: %s came along", r.Method, r.Path, name)
			}
		}
	}
}

// nothingReadable: neither a credential nor a prompt is in any file that the
// gateway wrote.
func nothingReadable(t *testing.T, dir string) {
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for what, text := range map[string]string{"a credential": openaiKey, "another credential": anthropicKey, "a prompt": prompt} {
			if bytes.Contains(b, []byte(text)) {
				t.Errorf("%s holds %s", path, what)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}
