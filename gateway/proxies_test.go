package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
)

// frontProxy starts nginx or HAProxy before the gateway, with connections to it
// that are kept and shared by all clients, as an operator would have it.
func (h *house) frontProxy(name string) (address string) {
	h.t.Helper()
	address = freeAddress(h.t, "127.0.0.1")
	dir := h.t.TempDir()
	var text string
	switch name {
	case "nginx":
		text = fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1; %[4]s
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  upstream gateway { server %[3]s; keepalive 1; }
  server {
    listen %[2]s; client_max_body_size 0; ignore_invalid_headers off; underscores_in_headers on;
    location / { proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; proxy_buffering off; }
  }
}`, dir, address, h.addr, map[bool]string{true: "user root;"}[os.Getuid() == 0])
	case "haproxy":
		text = fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  option http-keep-alive
frontend front
  bind %s
  option accept-invalid-http-request
  default_backend gateway
backend gateway
  http-reuse always
  option accept-invalid-http-response
  server one %s
`, address, h.addr)
	}
	h.runProxy(name, text, address)
	return address
}

// freeAddress gives one that nobody listens on.
func freeAddress(t testing.TB, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// runProxy runs a proxy until the test ends, and waits until it listens.
func (h *house) runProxy(name, text, address string) {
	h.t.Helper()
	dir := h.t.TempDir()
	config := filepath.Join(dir, name+".conf")
	args := map[string][]string{
		"nginx": {"-c", config, "-p", dir}, "haproxy": {"-db", "-f", config}, "apache2": {"-X", "-f", config},
	}[name]
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	program, err := exec.LookPath(name)
	if err != nil {
		h.t.Fatalf("%v; make proxies installs it", err)
	}
	cmd := exec.Command(program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // children of it may hold the pipe
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	h.eventually(name+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// TestSmugglingBehindProxies sends every technique through a proxy that does
// its best to let it pass, and the calls of another user behind it, over the
// same connections to the gateway: each gets its own answer, and the provider
// is asked nothing that nobody has sent.
func TestSmugglingBehindProxies(t *testing.T) {
	for _, proxy := range []string{"nginx", "haproxy"} {
		t.Run(proxy, func(t *testing.T) {
			h := newHouse(t)
			h.tenant("victim")
			h.store("victim", "main", "default", secondKey)
			theirs := h.mint("victim", directory.NewToken{})
			address := h.frontProxy(proxy)
			client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
			passed := 0
			for i := range techniques {
				x := &techniques[i]
				statuses := attack(t, address, x.write(h.token, i))
				for _, status := range statuses {
					if status == 200 {
						passed++
					}
				}
				if err := h.victim(client, address, theirs, 3); err != nil {
					t.Errorf("behind %q: %v", x.name, err)
				}
				h.judge(t, x, statuses)
			}
			t.Logf("%d techniques, %d answered with 200", len(techniques), passed)
		})
	}
}
