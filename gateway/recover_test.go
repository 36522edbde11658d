package gateway

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
)

// TestBugIsAnAnswerAndARecord: a gateway without a directory fails on every
// request, and goes on.
func TestBugIsAnAnswerAndARecord(t *testing.T) {
	journal, err := meter.OpenJournal(meter.JournalOptions{Dir: filepath.Join(t.TempDir(), "ledger"), Alarm: func(ledger.Trouble) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Shut()
	var out bytes.Buffer
	log := zerolog.New(&out)
	limiter := admission.New(admission.Options{Settings: admission.Settings{MaxInFlight: 10}})
	defer limiter.Close()
	g := New(Options{Journal: journal, Log: &log, Admission: limiter, Metrics: prometheus.NewRegistry()})
	defer g.watcher.close()
	for range 3 {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.SetRequestURI("/v1/models")
		ctx.Request.Header.SetHost("gateway.test")
		ctx.Request.Header.Set("Authorization", "Bearer ok_secret")
		g.handle(ctx)
		if ctx.Response.StatusCode() != 500 || string(ctx.Response.Header.Peek("Ownkey-Error")) != "internal_error" {
			t.Errorf("got %d %s", ctx.Response.StatusCode(), ctx.Response.Body())
		}
	}
	if s := out.String(); !strings.Contains(s, "authenticate:") || strings.Contains(s, "ok_secret") {
		t.Errorf("log: %s", s)
	}
}
