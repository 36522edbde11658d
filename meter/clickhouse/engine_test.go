package clickhouse

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
)

// TestEngineIsKilled kills the engine in the middle of insertions, again and
// again: rows and sums are there once.
func TestEngineIsKilled(t *testing.T) {
	engine, err := clickhouseserver.Start(t.Context(), clickhouseserver.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Stop()
	u, _ := url.Parse(engine.URL)
	b := &bed{t: t, engine: u, name: "killed", log: &bytes.Buffer{}}
	b.options = newBed(t).options
	b.options.Server = server(u, b.name)
	if err := Migrate(t.Context(), b.options.Server, func(int) {}); err != nil {
		t.Fatal(err)
	}
	b.open()
	const kills, most = 12, 30 * time.Millisecond
	rows := 0
	for range kills {
		for range 1 + rand.IntN(3) {
			b.take(batch(rows, rows+200))
			rows += 200
		}
		time.Sleep(rand.N(most))
		if err := engine.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := engine.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.flush()
		b.want(fmt.Sprintf("%d\t%[1]d\t%[1]d", rows),
			"SELECT (SELECT count() FROM $requests FINAL), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
	}
	b.close()
	t.Logf("%d rows over %d kills, %d failed insertions", rows, kills, b.State().Failures)
}
