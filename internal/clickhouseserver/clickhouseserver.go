// Package clickhouseserver runs the real ClickHouse engine as a child process,
// for tests, benchmarks and `ownkey dev --clickhouse=chdb`. It is never part of
// what `ownkey serve` does.
//
// The child is internal/tools/chdb, which serves the engine's library over
// ClickHouse's HTTP interface, and over as much of the native protocol as a
// driver needs. It has no users and no replication: for those, a real server is
// needed.
package clickhouseserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startTime is how long the engine may take to answer. It takes half a second
// on an idle machine, a second and a half when its library is not in memory.
const startTime = time.Minute

// Options of a server. Zero values of Binary and Library are what `make
// clickhouse` has put into .tools.
type Options struct {
	Binary  string
	Library string
	// Dir keeps the data. The same directory again is the same database.
	Dir string
}

// Server is a running engine.
type Server struct {
	// URL is where it listens: loopback, on a port that was free and stays its
	// own.
	URL string
	// NativeURL is the same for the native protocol, of which as much is spoken
	// as a driver needs.
	NativeURL string

	options Options
	address string
	native  string
	process *exec.Cmd
	ended   chan struct{}
}

// library is where npm puts it.
var library = filepath.Join("clickhouse", "node_modules", "@chdb", "lib-linux-x64-gnu", "libchdb.so")

// tools finds what `make clickhouse` makes, from any folder of the module.
func tools() (binary, lib string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", "", fmt.Errorf("cannot find the ClickHouse engine: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		binary, lib = filepath.Join(dir, ".tools", "chdb"), filepath.Join(dir, ".tools", library)
		if exists(binary) && exists(lib) {
			return binary, lib, nil
		}
	}
	return "", "", errors.New("cannot find the ClickHouse engine (.tools/chdb); fetch it: make clickhouse")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Start starts the engine and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Binary == "" {
		var err error
		if o.Binary, o.Library, err = tools(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot start ClickHouse: %w", err)
	}
	s := &Server{options: o}
	for _, address := range []*string{&s.address, &s.native} {
		var err error
		if *address, err = freePort(); err != nil {
			return nil, err
		}
	}
	s.URL, s.NativeURL = "http://"+s.address, "clickhouse://"+s.native
	return s, s.launch(ctx)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback answers at once
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// Restart starts the engine again, on its data and port, after Stop or Kill.
func (s *Server) Restart(ctx context.Context) error { return s.launch(ctx) }

func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.options.Dir, "engine.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot start ClickHouse: %w", err)
	}
	defer log.Close()                                                             //nolint:errcheck // the child has its own
	s.process = exec.CommandContext(context.WithoutCancel(ctx), s.options.Binary, //nolint:gosec // the caller's program
		"--lib", s.options.Library, "--path", filepath.Join(s.options.Dir, "data"), "--listen", s.address, "--listen-native", s.native)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("cannot start ClickHouse: %w", err)
	}
	s.ended = make(chan struct{})
	go func(p *exec.Cmd, ended chan struct{}) {
		_ = p.Wait()
		close(ended)
	}(s.process, s.ended)
	return s.await(ctx)
}

// await waits for the first answer.
func (s *Server) await(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/ping", http.NoBody)
		if err != nil {
			return fmt.Errorf("cannot ask ClickHouse: %w", err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ClickHouse has ended at once; see %s", filepath.Join(s.options.Dir, "engine.log"))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("ClickHouse does not answer: %w", ctx.Err()), s.Kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// PID is of the process that runs now.
func (s *Server) PID() int { return s.process.Process.Pid }

// Stop ends the engine in good order.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends it as a crash would.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

func (s *Server) end(signal syscall.Signal) error {
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop ClickHouse: %w", err)
	}
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		_ = s.process.Process.Kill()
		<-s.ended
	}
	return nil
}
