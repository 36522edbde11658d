package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bed is what every measurement runs on: a directory, a provider, and the
// gateway's binary.
type bed struct {
	dir      string
	children []*exec.Cmd
	provider string // host:port
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
	if b.provider, err = b.startProvider(); err != nil {
		return nil, err
	}
	err = b.build()
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

func (b *bed) build() error {
	if out, err := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(b.dir, "ownkey"), "./cmd/ownkey").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the gateway (run from the project's root): %s", out)
	}
	return nil
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
