// Package clickhousetest gives a test a ClickHouse database of its own.
package clickhousetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
)

// shared is the engine of this test process: starting one takes half a second,
// and each holds a quarter of a gigabyte.
var shared = sync.OnceValues(func() (addresses, error) {
	if u := os.Getenv("CLICKHOUSE_URL"); u != "" {
		return addresses{u, os.Getenv("CLICKHOUSE_NATIVE_URL")}, nil
	}
	removeLeft()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return addresses{}, err
	}
	s, err := clickhouseserver.Start(context.Background(), clickhouseserver.Options{Dir: dir})
	if err != nil {
		return addresses{}, err
	}
	return addresses{s.URL, s.NativeURL}, nil // it ends with the process
})

// prefix begins the names of the engines' directories; the process follows.
const prefix = "clickhousetest-"

// removeLeft removes the directories of test processes that have ended: one
// can not remove its own, since its engine ends with it.
func removeLeft() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range left {
		var pid int
		if n, _ := fmt.Sscanf(filepath.Base(dir), prefix+"%d-", &pid); n == 1 && syscall.Kill(pid, 0) != nil {
			_ = os.RemoveAll(dir)
		}
	}
}

// addresses are where an engine listens.
type addresses struct{ http, native string }

var databases atomic.Int64

// Database gives the address of the engine and the name of a database that does
// not exist yet and is dropped with the test. CLICKHOUSE_URL names a server to
// use in place of the engine. Without either the test fails.
func Database(t testing.TB) (server *url.URL, name string) {
	t.Helper()
	address, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	server, err = url.Parse(address.http)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	t.Cleanup(func() { Run(t, server, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	return server, name
}

// Native gives the engine's address for the native protocol; that of
// CLICKHOUSE_URL's server is CLICKHOUSE_NATIVE_URL.
func Native(t testing.TB) *url.URL {
	t.Helper()
	address, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address.native)
	if err != nil || u.Host == "" {
		t.Fatalf("no address for the native protocol (CLICKHOUSE_NATIVE_URL): %v", err)
	}
	return u
}

// Run runs a statement over the HTTP interface and gives its answer as text.
func Run(t testing.TB, server *url.URL, statement string) string {
	t.Helper()
	base := *server
	user := base.User
	base.User = nil
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base.String(), strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	if user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", statement, response.StatusCode, text, err)
	}
	return strings.TrimSpace(string(text))
}
