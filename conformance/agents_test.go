//go:build agents

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// answered is in what the fake provider says.
const answered = "Hello from the fake provider"

// hello is what the agents are asked where it does not matter.
const hello = "Say hello"

// agentLimit is far above what an agent takes, and below what one sleeps that
// has been told to come again tomorrow.
const agentLimit = 3 * time.Minute

// agentBed is a gateway, and the published agents.
type agentBed struct {
	*gateway
	bin string // the agents' programs
}

// TestAgents runs published coding agents, and langchain4j on Java's own HTTP
// client, as their users would: with a base URL and a token.
func TestAgents(t *testing.T) {
	t.Cleanup(func() { neverCached(t) })
	provider, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{openaiKey, anthropicKey}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	b := &agentBed{gateway: startDev(t, buildGateway(t), provider.URL()), bin: installAgents(t)}
	spent := b.spentToken(t)

	t.Run("codex answers, with openai_base_url alone", func(t *testing.T) {
		out := b.run(t, b.codex(t, b.token, hello))
		want(t, out, answered)
		wantNot(t, out, "Reconnecting")
	})
	t.Run("claude code answers", func(t *testing.T) { want(t, b.run(t, b.claude(t, b.token, hello)), answered) })
	t.Run("opencode answers", func(t *testing.T) { want(t, b.run(t, b.opencode(t, b.token, hello)), answered) })
	t.Run("langchain4j answers", func(t *testing.T) {
		out := b.run(t, b.langchain4j(t))
		want(t, out, "whole: "+answered)
		want(t, out, "streamed: "+answered)
	})
	t.Run("curl offers HTTP/2", func(t *testing.T) {
		out := b.run(t, exec.Command("curl", "-sS", "--http2", b.origin+"/v1/chat/completions", "-H", "Authorization: Bearer "+b.token,
			"-H", "Content-Type: application/json", "-d", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`))
		want(t, out, answered)
	})
	for name, agent := range map[string]func(*testing.T, string, string) *exec.Cmd{"codex": b.codex, "claude code": b.claude, "opencode": b.opencode} {
		t.Run(name+" says that the token is bad", func(t *testing.T) {
			want(t, b.run(t, agent(t, "ok_not-a-token", hello)), "oken")
		})
		t.Run(name+" says that the budget is spent", func(t *testing.T) {
			want(t, b.run(t, agent(t, spent, hello)), "budget")
		})
	}
}

// TestAgentsRemember: a fact that a person tells an agent in one run is put into the
// question of the next, in a session and a folder of its own; of what the agent itself
// writes around it nothing is kept.
func TestAgentsRemember(t *testing.T) {
	t.Cleanup(func() { neverCached(t) })
	provider, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{openaiKey, anthropicKey}, Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Close() })
	b := &agentBed{gateway: startDev(t, buildGateway(t), provider.URL()), bin: installAgents(t)}
	for name, agent := range map[string]func(*testing.T, string, string) *exec.Cmd{"codex": b.codex, "claude": b.claude, "opencode": b.opencode} {
		t.Run(name, func(t *testing.T) {
			provider.Forget()
			token := b.rememberingToken(t, name)
			b.run(t, agent(t, token, "Good morning! My cat is called Momo and she is fourteen years old."))
			kept := b.kept(t, name)
			for began := time.Now(); len(kept) == 0 && time.Since(began) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
				kept = b.kept(t, name)
			}
			if len(kept) != 1 || !strings.Contains(kept[0], "Momo") || len(kept[0]) > 200 {
				t.Errorf("kept %q", kept)
			}
			b.run(t, agent(t, token, "Hi! What is the name of my cat? Answer in one short sentence, please."))
			block := ""
			for _, r := range provider.Requests() {
				body := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(r.Body))
				if _, behind, ok := strings.Cut(body, "<memory-"); ok && strings.Contains(body, "name of my cat") && strings.Contains(behind, "Momo") {
					block, _, _ = strings.Cut(behind, "</memory-")
				}
			}
			t.Logf("put in: <memory-%s", block)
			if block == "" {
				t.Error("no request had the fact")
			}
		})
	}
}

// rememberingToken makes a token that recalls from a bucket of its own and captures
// into it.
func (b *agentBed) rememberingToken(t *testing.T, bucket string) string {
	t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	answer := adminCall(t, "POST", b.admin+"/admin/v1/tenants/dev/tokens", b.adminToken, fmt.Sprintf(`{"label":%q,"memory":"on","bucket":%q}`, bucket, bucket))
	if err := json.Unmarshal(answer, &made); err != nil || made.Token == "" {
		t.Fatalf("%v: %s", err, answer)
	}
	return made.Token
}

// kept gives what is in a bucket.
func (b *agentBed) kept(t *testing.T, bucket string) (all []string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.origin+"/v1/buckets/"+bucket+"/memories", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list struct {
		Memories []struct{ Content string }
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Memories {
		all = append(all, m.Content)
	}
	return all
}

func installAgents(t *testing.T) string {
	t.Helper()
	dir := installed(t, "node", "agents/package.json", func(dir string) {
		for _, name := range []string{"package.json", ".npmrc"} {
			copyFile(t, filepath.Join("agents", name), dir)
		}
		// No lock file: npm leaves the programs of other platforms out of it, and then refuses it.
		run(t, dir, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund")
		// Two of them put their program in place by a script, which npm runs
		// only if it is asked to.
		run(t, filepath.Join(dir, "node_modules/@anthropic-ai/claude-code"), "node", "install.cjs")
		run(t, filepath.Join(dir, "node_modules/opencode-ai"), "node", "postinstall.mjs")
	})
	return filepath.Join(dir, "node_modules/.bin")
}

// spentToken makes a token whose budget of a day is spent.
func (b *agentBed) spentToken(t *testing.T) string {
	t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	answer := adminCall(t, "POST", b.admin+"/admin/v1/tenants/dev/tokens", b.adminToken, `{"label":"spent","limits":{"tokens_per_day":1}}`)
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.origin+"/v1/chat/completions",
		strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+made.Token)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the call that spends the budget: %d", response.StatusCode)
	}
	return made.Token
}

// command gives a program a home and a folder of its own.
func (b *agentBed) command(t *testing.T, name string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8"}, env...)
	return cmd
}

func (b *agentBed) codex(t *testing.T, token, prompt string) *exec.Cmd {
	cmd := b.command(t, filepath.Join(b.bin, "codex"), []string{"OPENAI_API_KEY=" + token, "CODEX_API_KEY=" + token},
		"exec", "--skip-git-repo-check", "-m", "gpt-4o-mini", prompt)
	write(t, filepath.Join(cmd.Dir, ".codex/config.toml"), fmt.Sprintf("openai_base_url = %q\n", b.origin+"/v1"))
	return cmd
}

func (b *agentBed) claude(t *testing.T, token, prompt string) *exec.Cmd {
	return b.command(t, filepath.Join(b.bin, "claude"), []string{
		"ANTHROPIC_BASE_URL=" + b.origin, "ANTHROPIC_AUTH_TOKEN=" + token,
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
	}, "-p", prompt)
}

func (b *agentBed) opencode(t *testing.T, token, prompt string) *exec.Cmd {
	cmd := b.command(t, filepath.Join(b.bin, "opencode"), nil, "run", "--print-logs", prompt)
	write(t, filepath.Join(cmd.Dir, "opencode.json"), fmt.Sprintf(`{"provider":{"ownkey":{"npm":"@ai-sdk/openai-compatible","name":"Ownkey",`+
		`"options":{"baseURL":%q,"apiKey":%q},"models":{"gpt-4o-mini":{"name":"m"}}}},"model":"ownkey/gpt-4o-mini","autoupdate":false,"share":"disabled"}`,
		b.origin+"/v1", token))
	return cmd
}

// langchain4j has Maven fetch and run the program in java/. Maven's store is
// kept with the other packages.
func (b *agentBed) langchain4j(t *testing.T) *exec.Cmd {
	t.Helper()
	store, err := filepath.Abs(filepath.Join(toolsDir, "maven"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := b.command(t, "mvn", []string{"OPENAI_BASE_URL=" + b.origin + "/v1", "OPENAI_API_KEY=" + b.token},
		"-q", "-B", "-Dmaven.repo.local="+store, "compile", "exec:java")
	for _, name := range []string{"pom.xml", "src/main/java/Main.java"} {
		text, err := os.ReadFile(filepath.Join("java", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(cmd.Dir, name), string(text))
	}
	return cmd
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run gives all that a program prints, and says how long it took. That it fails
// is no fault: some do when they report an error.
func (b *agentBed) run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), agentLimit)
	defer cancel()
	limited := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	var out bytes.Buffer
	limited.Dir, limited.Env, limited.Stdout, limited.Stderr, limited.WaitDelay = cmd.Dir, cmd.Env, &out, &out, time.Second
	began := time.Now()
	err := limited.Run()
	t.Logf("%s took %.1f s (%v)", filepath.Base(cmd.Path), time.Since(began).Seconds(), err)
	if ctx.Err() != nil {
		t.Errorf("no end within %v", agentLimit)
	}
	return out.String()
}

func want(t *testing.T, out, text string) {
	t.Helper()
	if !strings.Contains(out, text) {
		t.Errorf("want %q in: %s", text, out)
	}
}

func wantNot(t *testing.T, out, text string) {
	t.Helper()
	if strings.Contains(out, text) {
		t.Errorf("do not want %q in: %s", text, out)
	}
}
