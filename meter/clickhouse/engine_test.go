//go:build kills

package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver"
)

// TestEngineIsKilled kills the engine in the middle of insertions, again and
// again: everything is there once.
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
	kills, rows := 5, 0
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := b.Take(context.Background(), batch(rows, rows+200)); err == nil {
				rows += 200
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	for i := range kills {
		time.Sleep(time.Duration(300+97*i) * time.Millisecond)
		if err := engine.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := engine.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-stopped
	b.flush()
	b.close()
	want := fmt.Sprintf("%d\t%d\t%d", rows, rows, rows)
	b.want(want, "SELECT (SELECT count() FROM $requests), (SELECT uniqExact(event_id) FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")
	t.Logf("%d rows over %d kills, %d failed insertions", rows, kills, b.State().Failures)
}
