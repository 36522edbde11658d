package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// gateway is a running process of ours, as its callers see it.
type gateway struct {
	origin string // http://HOST:PORT
	token  string
	admin  string // http://HOST:PORT of the admin plane; of dev only, like its token
	dir    string // its state and its log
	stop   func(t *testing.T)

	adminToken string
}

// buildGateway gives the binary to test: OWNKEY_BINARY, or one built now.
func buildGateway(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("OWNKEY_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "ownkey")
	run(t, "..", "go", "build", "-o", path, "./cmd/ownkey")
	return path
}

// run runs a command to its end, which must be a success.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot run %s %v: %v\n%s", name, args, err, out)
	}
}

// startDev starts `ownkey dev` with both providers repointed to url.
func startDev(t *testing.T, binary, url string) *gateway {
	t.Helper()
	return startFake(t, binary, "--provider", "openai="+url, "--provider", "anthropic="+url,
		"--credential", "openai="+openaiKey, "--credential", "anthropic="+anthropicKey)
}

// startFake starts `ownkey dev`, whose built-in provider answers unless args
// say otherwise.
func startFake(t *testing.T, binary string, args ...string) *gateway {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready.json")
	g := launch(t, dir, nil, binary, append([]string{
		"dev", "--data", filepath.Join(dir, "data"),
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--ready-file", ready,
	}, args...)...)
	var said struct {
		BaseURL    string `json:"base_url"`
		AdminURL   string `json:"admin_url"`
		Token      string `json:"token"`
		AdminToken string `json:"admin_token"`
	}
	await(t, g, "the ready file", func() bool {
		b, err := os.ReadFile(ready)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err == nil {
			err = json.Unmarshal(b, &said)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	g.origin, g.token = said.BaseURL[:len(said.BaseURL)-len("/v1")], said.Token
	g.admin, g.adminToken = said.AdminURL, said.AdminToken
	return g
}

// startServe starts `ownkey serve` with a gateway that waits for a provider for
// one second only, and makes a tenant through its admin plane.
func startServe(t *testing.T, binary, url string) *gateway {
	t.Helper()
	const adminToken = "conformance-admin-token"
	dir := t.TempDir()
	data, admin := freeAddress(t), freeAddress(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	run(t, dir, binary, "keygen", file("master.key"))
	provider := fmt.Sprintf("{base_url: %s, first_byte_timeout: 1s, idle_timeout: 1s}", url)
	config := fmt.Sprintf("listen: %s\nadmin: {listen: %s, token: \"${CONFORMANCE_ADMIN_TOKEN}\"}\ndata: %s\n"+
		"keyring: {master_key_file: %s}\nproviders:\n  openai: %s\n  anthropic: %s\n",
		data, admin, file("data"), file("master.key"), provider, provider)
	if err := os.WriteFile(file("ownkey.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	g := launch(t, dir, []string{"CONFORMANCE_ADMIN_TOKEN=" + adminToken}, binary, "serve", "--config", file("ownkey.yaml"))
	g.origin = "http://" + data
	await(t, g, "readiness", func() bool {
		res, err := http.Get(g.origin + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	call := func(method, path, body string) []byte {
		t.Helper()
		return adminCall(t, method, "http://"+admin+"/admin/v1/tenants"+path, adminToken, body)
	}
	call("POST", "", `{"id":"acme","name":"Acme"}`)
	call("PUT", "/acme/credentials/openai/default", fmt.Sprintf(`{"secret":%q}`, openaiKey))
	call("PUT", "/acme/credentials/anthropic/default", fmt.Sprintf(`{"secret":%q}`, anthropicKey))
	var made struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(call("POST", "/acme/tokens", `{"label":"conformance"}`), &made); err != nil {
		t.Fatal(err)
	}
	g.token = made.Token
	return g
}

func adminCall(t *testing.T, method, url, token, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, url, res.StatusCode, b.Bytes())
	}
	return b.Bytes()
}

// freeAddress gives an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// launch starts a process whose output goes to a log in dir. Its stop asks it
// to end and insists on a clean exit.
func launch(t *testing.T, dir string, env []string, binary string, args ...string) *gateway {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stopped := false
	g := &gateway{dir: dir}
	g.stop = func(t *testing.T) {
		if stopped {
			return
		}
		stopped = true
		defer log.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("the gateway did not stop cleanly: %v", err)
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Error("the gateway did not stop within 30 s")
		}
	}
	t.Cleanup(func() {
		g.stop(t)
		if t.Failed() {
			t.Logf("log of %s:\n%s", args[0], g.tail())
		}
	})
	return g
}

// tail is the end of the gateway's log.
func (g *gateway) tail() []byte {
	b, _ := os.ReadFile(filepath.Join(g.dir, "log"))
	return b[max(0, len(b)-4000):]
}

func await(t *testing.T, g *gateway, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s; log:\n%s", what, g.tail())
		}
	}
}
