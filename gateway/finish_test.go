package gateway

import (
	"bytes"
	"testing"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/admission"
	"github.com/ownkey/ownkey/meter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
)

// TestFinishIsSafeToReachTwice: a bug in the middle of a request's end leads to
// a second end, which makes up for the rest and touches no other request: those
// that are watched stay watched.
func TestFinishIsSafeToReachTwice(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	limiter := admission.New(admission.Options{})
	defer limiter.Close()
	g := New(Options{Metrics: prometheus.NewRegistry(), Log: &log, Admission: limiter}) // without a journal, keeping a record is a bug
	defer g.watcher.close()
	begin := func() *request {
		r := requests.Get().(*request)
		r.g, r.ctx, r.caller.Token, r.admitted = g, &fasthttp.RequestCtx{}, &directory.Token{}, true
		r.watched.fd, r.watching = -1, true
		g.watcher.add(&r.watched)
		return r
	}
	mine, other, third := begin(), begin(), begin()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the end did not fail")
			}
		}()
		mine.finish(meter.OutcomeCompleted)
	}()
	mine.finish(meter.OutcomeInternalError)
	g.watcher.remove(&mine.watched) // and a third time, by whoever
	g.watcher.mu.Lock()
	defer g.watcher.mu.Unlock()
	if n := len(g.watcher.entries); n != 2 {
		t.Fatalf("%d requests are watched, want the 2 others", n)
	}
	for _, r := range []*request{other, third} {
		if g.watcher.entries[r.watched.at] != &r.watched {
			t.Error("a request is not watched where it thinks it is")
		}
	}
}
