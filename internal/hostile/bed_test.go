package hostile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

const (
	adminToken = "oka_4f0c2a9e6b1d48d7a3c5e8f901b2c3d4"
	startTime  = 30 * time.Second
	stopTime   = 30 * time.Second
	drain      = 3 * time.Second  // timeouts.drain
	ended      = 12 * time.Second // what stopping may take beyond it: ten (docs/config.md), and a busy machine needs a while to notice
)

// binary is the gateway, built once.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(attackVariable) != "" {
		if err := beAttacker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "hostile")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "ownkey")
		if out, err := exec.Command("go", "build", "-o", binary, "github.com/ownkey/ownkey/cmd/ownkey").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build the gateway: %s\n", out)
			return 1
		}
		return m.Run()
	}())
}

// bed is a gateway in production's way, with an honest provider and one that
// the hostile tenant runs.
type bed struct {
	t        *testing.T
	dir      string
	listen   string
	admin    string
	honest   *fakeprovider.Server
	attacker *attacker
	cmd      *exec.Cmd
	ended    chan struct{}
	log      bytes.Buffer
	logGuard sync.Mutex
}

// Write takes the gateway's log.
func (b *bed) Write(p []byte) (int, error) {
	b.logGuard.Lock()
	defer b.logGuard.Unlock()
	return b.log.Write(p)
}

// tail is the end of the gateway's log.
func (b *bed) tail() string {
	b.logGuard.Lock()
	defer b.logGuard.Unlock()
	return string(b.log.Bytes()[max(0, b.log.Len()-4000):])
}

// newBed starts a gateway. more is added to the configuration.
func newBed(t *testing.T, more string) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), listen: freePort(t), admin: freePort(t)}
	var err error
	if b.honest, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.honest.Close() })
	b.attacker = startAttacker(t)
	text := fmt.Sprintf(`listen: %s
admin: {listen: '%s', token: '${OWNKEY_ADMIN_TOKEN}'}
data: %s
keyring: {master_key_file: %s}
providers:
  openai: {base_url: '%s'}
  own: {base_url: '%s', first_byte_timeout: 20s}
limits:
  tenant: {requests_in_flight: 200}
timeouts: {drain: %s}
log: {level: error}
%s`, b.listen, b.admin, filepath.Join(b.dir, "data"), filepath.Join(b.dir, "master.key"), b.honest.URL(), b.attacker.url, drain, more)
	if err := os.WriteFile(b.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.command("keygen", filepath.Join(b.dir, "master.key"))
	if strings.Contains(more, "clickhouse") {
		b.command("migrate", "--config", b.config())
	}
	b.start()
	t.Cleanup(func() { b.kill() })
	return b
}

func (b *bed) config() string { return filepath.Join(b.dir, "ownkey.yaml") }

func (b *bed) command(words ...string) {
	b.t.Helper()
	cmd := exec.Command(binary, words...)
	cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+adminToken)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("ownkey %v: %v: %s", words, err, out)
	}
}

// start runs the gateway and waits until it is ready. It returns how long that
// took.
func (b *bed) start() time.Duration {
	b.t.Helper()
	began := time.Now()
	b.cmd = exec.Command(binary, "serve", "--config", b.config())
	b.cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+adminToken)
	b.cmd.Stderr = b
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	b.ended = ended
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(ended) }(b.cmd)
	for end := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := b.ready(); status == http.StatusOK {
			return time.Since(began)
		}
		select {
		case <-ended:
			b.t.Fatalf("the gateway ended at its start: %s", b.tail())
		default:
		}
		if time.Now().After(end) {
			b.t.Fatalf("the gateway was not ready in %v: %s", startTime, b.tail())
		}
	}
}

// stop asks the gateway to end, as an operator does, and waits for it.
func (b *bed) stop() time.Duration {
	b.t.Helper()
	began := time.Now()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(stopTime):
		_ = b.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines say what it waits for
		<-b.ended
		b.t.Fatalf("the gateway did not end in %v after SIGTERM: %s", stopTime, b.log.String())
	}
	return time.Since(began)
}

func (b *bed) kill() {
	_ = b.cmd.Process.Kill()
	<-b.ended
}

// ready is the status of /readyz, 0 for no response, and the word for each part.
func (b *bed) ready() (status int, parts map[string]string) {
	response, err := http.Get("http://" + b.listen + "/readyz")
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&parts); err != nil {
		return 0, nil
	}
	return response.StatusCode, parts
}

// ask makes a call of the admin plane and decodes its answer into out.
func (b *bed) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+b.admin+"/admin/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	if rows, ok := out.(*[]row); ok {
		return decodeRows(text, rows)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// want is ask, and ends the test when it fails.
func (b *bed) want(method, path string, in, out any) {
	b.t.Helper()
	if err := b.ask(b.t.Context(), method, path, in, out); err != nil {
		b.t.Fatalf("%v; log: %s", err, b.tail())
	}
}

// row is what the test reads of a record.
type row struct {
	ID      string `json:"request_id"`
	Book    string `json:"book"`
	Outcome string `json:"outcome"`
	Op      string `json:"op"`
	Count   int64  `json:"count"`
	Input   int64  `json:"input_tokens"`
	Output  int64  `json:"output_tokens"`
}

func decodeRows(text []byte, rows *[]row) error {
	for line := range bytes.Lines(text) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("%w in %.200s", err, line)
		}
		*rows = append(*rows, r)
	}
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
