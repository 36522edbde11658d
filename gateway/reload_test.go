package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

// reloadedProxy starts nginx before a provider and gives its base URL, and what
// makes it read its configuration again: new workers take over, and the old
// ones close their idle connections, whatever is on its way on them.
func reloadedProxy(t *testing.T, provider string) (url string, reload func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1; %[4]s
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s; location / { proxy_pass %[3]s; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`, dir, address, provider, user)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatalf("%v; make proxies installs it", err)
	}
	cmd := exec.Command(program, "-c", config, "-p", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %s", out.String())
		}
	}
	return "http://" + address + "/v1", func() { _ = cmd.Process.Signal(syscall.SIGHUP) }
}

// TestReloadOfAProxyBeforeTheProvider: no call fails, and none is made twice.
func TestReloadOfAProxyBeforeTheProvider(t *testing.T) {
	fake, err := fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{mainKey, secondKey}, Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	url, reload := reloadedProxy(t, strings.TrimSuffix(fake.URL(), "/v1"))
	h := newHouse(t, func(o *options) { o.provider = url })
	var calls, failed atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if a := h.chat("m"); a.status != 200 {
					failed.Add(1)
					t.Errorf("%d %s %v", a.status, a.body, a.err)
				}
			}
		})
	}
	for range 5 {
		time.Sleep(300 * time.Millisecond)
		reload()
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	all.Wait()
	t.Logf("%d of %d calls failed in five reloads", failed.Load(), calls.Load())
	if n := len(fake.Requests()); int64(n) != calls.Load() {
		t.Errorf("the provider was asked %d times for %d calls", n, calls.Load())
	}
	if n := len(h.records(int(calls.Load()))); int64(n) != calls.Load() {
		t.Errorf("%d records of %d calls", n, calls.Load())
	}
}

// TestRecallTimeoutIsApplied: a recall is as long as the settings of its call
// say.
func TestRecallTimeoutIsApplied(t *testing.T) {
	h := newHouse(t)
	if a := h.do("POST", "/v1/buckets/default/memories", `{"content":"The hives stand on the roof of the library."}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	recall := func(timeout time.Duration) string {
		settings := h.settings
		settings.Recall.Timeout = timeout
		h.gateway.Apply(&settings)
		return h.do("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"Where do the hives stand?"}]}`, "Ownkey-Memory", "recall").header.Get("Ownkey-Memory")
	}
	for range 2 {
		if got := recall(time.Minute); got != "hit" {
			t.Errorf("in a minute: %q", got)
		}
		if got := recall(time.Nanosecond); got != "timeout" {
			t.Errorf("in a nanosecond: %q", got)
		}
	}
}
