// Command chdb serves the ClickHouse engine in libchdb over ClickHouse's HTTP
// interface, and over as much of its native protocol as a driver needs, for tests, benchmarks and `ownkey dev --clickhouse=chdb`. It is a
// program of its own because loading the library makes a binary dynamic, and
// because a crash of the engine must not be one of the gateway.
//
// It has no users and checks no password: it listens on loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// sessions is how many statements can run at once.
const sessions = 8

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chdb:", err)
		os.Exit(1)
	}
}

func run() error {
	lib := flag.String("lib", os.Getenv("CHDB_LIB_PATH"), "libchdb.so; default $CHDB_LIB_PATH")
	dir := flag.String("path", "", "directory of the data")
	listen := flag.String("listen", "127.0.0.1:0", "address, on loopback")
	listenNative := flag.String("listen-native", "", "address of the native protocol, on loopback; none when empty")
	ready := flag.String("ready-file", "", "file to write the URL to, once it answers")
	flag.Parse()
	switch {
	case *lib == "" || !exists(*lib):
		return errors.New("--lib: no such file; make clickhouse fetches it")
	case *dir == "":
		return errors.New("--path: missing")
	}
	e, err := load(*lib)
	if err != nil {
		return err
	}
	all, err := e.open(*dir, sessions)
	if err != nil {
		return err
	}
	h := &handler{make(chan *session, sessions)}
	for _, s := range all {
		h.sessions <- s
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if *listenNative != "" {
		nl, err := net.Listen("tcp", *listenNative)
		if err != nil {
			return err
		}
		defer nl.Close()
		go h.serveNative(nl)
	}
	if *ready != "" {
		if err := announce(*ready, "http://"+l.Addr().String()); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop, done := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer done()
	go func() {
		<-stop.Done()
		last, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		_ = server.Shutdown(last)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	for range all { // each is back when its statement has ended
		(<-h.sessions).close()
	}
	return nil
}

// announce writes a file whole.
func announce(path, text string) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
