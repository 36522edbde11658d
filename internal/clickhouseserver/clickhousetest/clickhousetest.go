// Package clickhousetest gives a test a ClickHouse database of its own.
package clickhousetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
)

// shared is the engine of this test process: starting one takes half a second,
// and each holds a quarter of a gigabyte.
var shared = sync.OnceValues(func() (string, error) {
	if u := os.Getenv("CLICKHOUSE_URL"); u != "" {
		return u, nil
	}
	dir, err := os.MkdirTemp("", "clickhousetest")
	if err != nil {
		return "", err
	}
	s, err := clickhouseserver.Start(context.Background(), clickhouseserver.Options{Dir: dir})
	if err != nil {
		return "", err
	}
	return s.URL, nil // it ends with the process
})

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
	server, err = url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	t.Cleanup(func() { Run(t, server, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	return server, name
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
