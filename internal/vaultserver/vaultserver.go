// Package vaultserver runs a real HashiCorp Vault server as a child process,
// for tests, benchmarks and `ownkey dev --vault`. It is never part of what
// `ownkey serve` does.
//
// The server is initialized with one unseal key, which is kept beside its
// storage with the root token: a convenience that only a server without
// anything worth protecting may have.
package vaultserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startTime is how long a server may take to answer. It takes less than a
// second on an idle machine.
const startTime = 30 * time.Second

// Options of a server.
type Options struct {
	// Binary is the server's program, as `make vault` builds it.
	Binary string
	// Dir keeps storage, keys and audit log. The same directory again is the
	// same Vault.
	Dir string
	// TLS makes the listener speak TLS, with a certificate of its own authority
	// (Server.CAFile). Without it the listener is plain, on loopback.
	TLS bool
}

// Server is a running Vault.
type Server struct {
	// URL is where it listens: loopback, on a port that was free.
	URL string
	// RootToken may do everything.
	RootToken string
	// AuditFile is where its file audit device writes.
	AuditFile string
	// CAFile is the authority of its certificate; empty without TLS.
	CAFile string

	unsealKey string
	options   Options
	process   *exec.Cmd
	ended     chan struct{}
}

// Binary gives the program that `make vault` builds, from any folder of the
// module.
func Binary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the Vault server: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".tools", "vault")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("cannot find the Vault server (.tools/vault); build it: make vault")
}

// Start starts a server, initializes it if it is new, unseals it, and turns
// the file audit device on.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, "storage"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot start Vault: %w", err)
	}
	s := &Server{options: o, AuditFile: filepath.Join(o.Dir, "audit.log")}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// launch starts the process on a free port, or on the one that it had.
func (s *Server) launch(ctx context.Context) error {
	config, err := s.writeConfig()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.options.Dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot start Vault: %w", err)
	}
	defer log.Close()                                                                                          //nolint:errcheck // the child has its own
	s.process = exec.CommandContext(context.WithoutCancel(ctx), s.options.Binary, "server", "-config", config) //nolint:gosec // the caller's program
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("cannot start Vault: %w", err)
	}
	s.ended = make(chan struct{})
	go func(p *exec.Cmd, ended chan struct{}) {
		_ = p.Wait()
		close(ended)
	}(s.process, s.ended)
	return s.await(ctx, "answer", func() bool {
		_, err := s.Call(ctx, "", http.MethodGet, "sys/seal-status", nil)
		return err == nil
	})
}

func (s *Server) writeConfig() (path string, err error) {
	if s.URL == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback answers at once
		if err != nil {
			return "", fmt.Errorf("cannot find a free port: %w", err)
		}
		s.URL = "http://" + l.Addr().String()
		_ = l.Close()
		if s.options.TLS {
			s.URL = strings.Replace(s.URL, "http:", "https:", 1)
			if s.CAFile, err = makeCertificates(s.options.Dir); err != nil {
				return "", err
			}
		}
	}
	_, address, _ := strings.Cut(s.URL, "://")
	transport := "tls_disable = true"
	if s.options.TLS {
		transport = fmt.Sprintf("tls_cert_file = %q\n  tls_key_file = %q", filepath.Join(s.options.Dir, "server.crt"), filepath.Join(s.options.Dir, "server.key"))
	}
	path = filepath.Join(s.options.Dir, "vault.hcl")
	text := fmt.Sprintf("storage \"file\" {\n  path = %q\n}\nlistener \"tcp\" {\n  address = %q\n  %s\n}\n"+
		"api_addr = %q\ndisable_mlock = true\nlog_level = \"warn\"\n", filepath.Join(s.options.Dir, "storage"), address, transport, s.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("cannot configure Vault: %w", err)
	}
	return path, nil
}

func (s *Server) await(ctx context.Context, what string, ok func() bool) error {
	for end := time.Now().Add(startTime); !ok(); {
		select {
		case <-s.ended:
			return fmt.Errorf("cannot start Vault: it ended; see %s", filepath.Join(s.options.Dir, "server.log"))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("cannot start Vault: no %s in %v", what, startTime)
		}
	}
	return nil
}

// keys is what initialization gives, kept in init.json.
type keys struct {
	RootToken string   `json:"root_token"`
	Keys      []string `json:"keys_base64"`
}

func (s *Server) prepare(ctx context.Context) error {
	path := filepath.Join(s.options.Dir, "init.json")
	held, err := os.ReadFile(path)
	first := errors.Is(err, fs.ErrNotExist)
	if first {
		if held, err = s.Call(ctx, "", http.MethodPut, "sys/init", map[string]int{"secret_shares": 1, "secret_threshold": 1}); err == nil {
			err = os.WriteFile(path, held, 0o600)
		}
	}
	var k keys
	if err == nil {
		err = json.Unmarshal(held, &k)
	}
	if err == nil && len(k.Keys) == 0 {
		err = errors.New("no unseal key")
	}
	if err != nil {
		return fmt.Errorf("cannot initialize Vault: %w", err)
	}
	s.RootToken, s.unsealKey = k.RootToken, k.Keys[0]
	if err := s.Unseal(ctx); err != nil {
		return err
	}
	if !first {
		return nil
	}
	_, err = s.Call(ctx, s.RootToken, http.MethodPut, "sys/audit/file", map[string]any{
		"type": "file", "options": map[string]string{"file_path": s.AuditFile},
	})
	return err
}

// Call makes one call of Vault's HTTP API and gives the answer's body. An
// answer that is not a success is an error with Vault's own words.
func (s *Server) Call(ctx context.Context, token, method, path string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("cannot encode call: %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, method, s.URL+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot make call: %w", err)
	}
	if token != "" {
		request.Header.Set("X-Vault-Token", token)
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot call Vault: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("cannot %s %s: Vault answered %d: %s", method, path, response.StatusCode, answer)
	}
	return answer, err
}

// Seal seals the server: it runs and answers 503 to everything.
func (s *Server) Seal(ctx context.Context) error {
	_, err := s.Call(ctx, s.RootToken, http.MethodPut, "sys/seal", nil)
	return err
}

// Unseal ends a seal and waits until the server is active.
func (s *Server) Unseal(ctx context.Context) error {
	if _, err := s.Call(ctx, "", http.MethodPut, "sys/unseal", map[string]string{"key": s.unsealKey}); err != nil {
		return err
	}
	return s.await(ctx, "active server", func() bool {
		_, err := s.Call(ctx, "", http.MethodGet, "sys/health", nil)
		return err == nil
	})
}

// PID is of the process that runs now.
func (s *Server) PID() int { return s.process.Process.Pid }

// Pause stops the process: it takes connections and never answers. It returns
// when all of its threads stand.
func (s *Server) Pause(ctx context.Context) error {
	if err := s.process.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("cannot pause Vault: %w", err)
	}
	return s.await(ctx, "standstill", func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.process.Process.Pid))
		for _, t := range tasks {
			if b, err := os.ReadFile(t); err == nil && !bytes.Contains(b, []byte(") T ")) {
				return false
			}
		}
		return len(tasks) > 0
	})
}

// Resume lets a paused process go on.
func (s *Server) Resume() error { return s.process.Process.Signal(syscall.SIGCONT) }

// Kill ends the process at once.
func (s *Server) Kill() error {
	err := s.process.Process.Kill()
	<-s.ended
	return err
}

// Restart starts a server that was killed, at the same address.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.Unseal(ctx)
}

// Stop ends the server.
func (s *Server) Stop() error {
	_ = s.Resume()
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return nil
	case <-time.After(5 * time.Second):
		return s.Kill()
	}
}

// Env is the environment in which the vault program, run as a client, speaks
// to this server with the token.
func (s *Server) Env(token string) []string {
	env := append(os.Environ(), "VAULT_ADDR="+s.URL, "VAULT_TOKEN="+token,
		"PATH="+filepath.Dir(s.options.Binary)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if s.CAFile != "" {
		env = append(env, "VAULT_CACERT="+s.CAFile)
	}
	return env
}

// Run runs a shell script as the server's operator would, with the root token
// and the vault program at hand, in a directory. It gives what was printed.
func (s *Server) Run(ctx context.Context, dir, script string) (string, error) {
	shell := exec.CommandContext(ctx, "sh", "-eu")
	shell.Dir, shell.Env, shell.Stdin = dir, s.Env(s.RootToken), strings.NewReader(script)
	out, err := shell.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("cannot run script: %w: %s", err, out)
	}
	return string(out), nil
}
