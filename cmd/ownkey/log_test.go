package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// stuck is a writer that blocks until it is let go.
type stuck struct {
	entered chan struct{} // somebody writes
	free    chan struct{}
	got     bytes.Buffer // read it after free
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.free
	return s.got.Write(b)
}

// TestLogNeverBlocks: lines to a writer that is stuck are dropped and counted
// once their room is full, nobody waits, and the log says so when it is read
// again. The end does not wait for it either.
func TestLogNeverBlocks(t *testing.T) {
	w := &stuck{entered: make(chan struct{}, 1), free: make(chan struct{})}
	lines := newLineWriter(w, 1000)
	log := zerolog.New(lines)
	log.Error().Msg("first")
	<-w.entered
	for range 500 {
		log.Error().Msg("a line that nobody reads")
	}
	dropped := lines.Dropped()
	if dropped < 400 || dropped >= 500 {
		t.Errorf("%d lines were dropped", dropped)
	}
	close(w.free)
	lines.Close()
	got := w.got.String()
	if n := strings.Count(got, "a line that nobody reads"); int64(n) != 500-dropped || !strings.Contains(got, `"message":"first"`) ||
		!strings.Contains(got, "lines were dropped") {
		t.Errorf("%d lines, %d dropped: %s", n, dropped, got)
	}

	w = &stuck{entered: make(chan struct{}, 1), free: make(chan struct{})}
	lines = newLineWriter(w, 1000)
	log = zerolog.New(lines)
	log.Error().Msg("x")
	<-w.entered
	ended := make(chan struct{})
	go func() { lines.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for a writer that is stuck")
	}
	close(w.free)
}

// failing is a writer whose reader has gone.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	lines := newLineWriter(failing{}, 1000)
	log := zerolog.New(lines)
	log.Info().Msg("one")
	log.Info().Msg("two")
	lines.Close()
	if n := lines.Dropped(); n != 2 {
		t.Errorf("%d lines are counted", n)
	}
}

// fullPipe gives the ends of a pipe that has room for nothing.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	for _, size := range []int{4096, 1} {
		for err = nil; err == nil; {
			_ = w.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			_, err = w.Write(make([]byte, size))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	return r, w
}

// TestLogThatNobodyReads runs the program with its stderr in a pipe that is
// full and that nobody reads, and then closes the pipe: requests, admin calls
// and records go on, and SIGTERM ends it, all the time.
func TestLogThatNobodyReads(t *testing.T) {
	for name, closed := range map[string]bool{"full pipe": false, "closed pipe": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w := fullPipe(t)
			p := &process{t: t}
			file := filepath.Join(t.TempDir(), "ready.json")
			p.cmd = exec.Command(binary, "dev", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--ready-file", file)
			p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
			p.cmd.Stderr = w
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
			if closed {
				_ = r.Close()
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &p.ready) == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal("not ready")
				}
			}
			const calls = 300
			for range calls {
				if status, body := p.chat(p.ready.Token, "fake", "Hello"); status != 200 {
					t.Fatalf("%d %s", status, body)
				}
			}
			p.want("", "tenant", "create", "acme")
			if out := p.want("", "usage", "--tenant", "dev", "--by", "model", "--json"); !strings.Contains(out, `"key":"fake","requests":300,`) {
				t.Errorf("records do not arrive: %s", out)
			}
			if m := p.metrics(); !strings.Contains(m, "ownkey_log_dropped_lines_total") || !strings.Contains(m, "ownkey_sink_lag_seconds 0\n") {
				t.Errorf("%s", m)
			}
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			ended := make(chan error, 1)
			go func() { ended <- p.cmd.Wait() }()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("SIGTERM does not end it")
			}
		})
	}
}

func (p *process) metrics() string {
	p.t.Helper()
	request, err := http.NewRequest("GET", p.ready.AdminURL+"/metrics", http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.ready.AdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// TestRecordsAreListedAtEveryLogLevel: the level of the log is the log's alone.
func TestRecordsAreListedAtEveryLogLevel(t *testing.T) {
	s := newStand(t, "log: {level: error}\n")
	if status, body := s.chat(s.token, "gpt-4o", "hello"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if out := s.want("", "records", "--tenant", "acme", "--book", "requests"); !strings.Contains(out, `"outcome":"completed"`) {
		t.Errorf("records: %q", out)
	}
	if log := s.stderr.String(); strings.Contains(log, "request done") {
		t.Errorf("the log has lines below its level: %s", log)
	}
}
