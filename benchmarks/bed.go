package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bed is what every measurement runs on: a provider, and the ways to it.
type bed struct {
	dir      string
	children []*exec.Cmd
	direct   *way
	nginx    *way
	ownkey   *way // records in SQLite

	clickhouse *way
}

// way is a path to the provider: straight, or through a proxy.
type way struct {
	name string
	addr string // host:port
	path string // of chat completions
	auth string
	pids []int // whose CPU and memory count
}

const (
	providerKey = "sk-benchmark"
	startTime   = 20 * time.Second
)

func makeBed() (b *bed, err error) {
	b = &bed{}
	if b.dir, err = os.MkdirTemp("", "ownkey-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	provider, err := b.startProvider()
	if err != nil {
		return nil, err
	}
	b.direct = &way{name: "direct", addr: provider, path: "/v1/chat/completions", auth: "Bearer " + providerKey}
	if err := b.startNginx(provider); err != nil {
		return nil, err
	}
	if err := b.build(); err != nil {
		return nil, err
	}
	if b.ownkey, err = b.startOwnkey("ownkey", provider); err != nil {
		return nil, err
	}
	// The engine's own CPU time is not the gateway's, but it shares the machine.
	b.clickhouse, err = b.startOwnkey("ownkey, records in ClickHouse", provider, "--clickhouse", "chdb")
	return b, err
}

func (b *bed) close() {
	for _, c := range b.children {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	_ = os.RemoveAll(b.dir)
}

func (b *bed) start(name string, env []string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(b.dir, filepath.Base(name)+strconv.Itoa(len(b.children))+".log"))
	if err != nil {
		return nil, err
	}
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return nil, err
	}
	b.children = append(b.children, c)
	return c, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func waitFor(addr string) error {
	for end := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing listens on %s", addr)
		}
	}
}

func (b *bed) startProvider() (addr string, err error) {
	if addr, err = freePort(); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := b.start(self, nil, "provider", addr); err != nil {
		return "", err
	}
	return addr, waitFor(addr)
}

const nginxConf = `
daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  keepalive_requests 100000000;
  upstream provider { server %[2]s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %[3]s;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
`

func (b *bed) startNginx(provider string) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	conf := filepath.Join(b.dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, b.dir, provider, addr), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o711); err != nil { // nginx's worker is another user
		return err
	}
	if _, err := exec.LookPath("nginx"); err != nil {
		return errors.New("nginx is not installed (Debian: apt-get install nginx-light)")
	}
	c, err := b.start("nginx", nil, "-c", conf, "-p", b.dir)
	if err != nil {
		return err
	}
	b.nginx = &way{name: "nginx", addr: addr, path: "/v1/chat/completions", auth: "Bearer " + providerKey}
	if err := waitFor(addr); err != nil {
		return err
	}
	b.nginx.pids = append(childrenOf(c.Process.Pid), c.Process.Pid)
	return nil
}

func (b *bed) build() error {
	if out, err := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(b.dir, "ownkey"), "./cmd/ownkey").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the gateway (run from the project's root): %s", out)
	}
	return nil
}

// startOwnkey starts a gateway; a name of its own is for its files and tables.
func (b *bed) startOwnkey(name, provider string, more ...string) (*way, error) {
	ready := filepath.Join(b.dir, name+".json")
	c, err := b.start(filepath.Join(b.dir, "ownkey"), []string{"GOMAXPROCS=1"}, append([]string{
		"dev", "--data", filepath.Join(b.dir, name+" data"), "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--provider", "bench=http://" + provider + "/v1", "--credential", "bench=" + providerKey, "--ready-file", ready,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	var r struct {
		BaseURL string `json:"base_url"`
		Token   string `json:"token"`
	}
	for end := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		if f, err := os.ReadFile(ready); err == nil && json.Unmarshal(f, &r) == nil {
			break
		}
		if time.Now().After(end) {
			return nil, errors.New("the gateway did not start")
		}
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(r.BaseURL, "http://"), "/v1")
	return &way{name: name, addr: addr, path: "/v1/chat/completions", auth: "Bearer " + r.Token, pids: []int{c.Process.Pid}}, nil
}

// childrenOf lists the processes that a process has started.
func childrenOf(pid int) []int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var pids []int
	for f := range strings.FieldsSeq(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// cpu is the time that the way's processes have used.
func (w *way) cpu() time.Duration {
	var total time.Duration
	for _, pid := range w.pids {
		// Nanoseconds on the CPU, over all threads (Linux, sched-stats.rst).
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			if f := strings.Fields(string(b)); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				total += time.Duration(n)
			}
		}
	}
	return total
}

// resident is the memory of the way's processes, in bytes.
func (w *way) resident() int64 {
	var total int64
	for _, pid := range w.pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if f := strings.Fields(string(b)); len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			total += n * int64(os.Getpagesize())
		}
	}
	return total
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
