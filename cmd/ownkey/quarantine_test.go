package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/quarantine"
)

// TestQuarantinedRowsAreShown: while rows are set aside the gateway stays
// ready, readyz says so, and an operator reads them with their reason.
func TestQuarantinedRowsAreShown(t *testing.T) {
	s := newStand(t, "")
	s.stop()
	q, err := quarantine.Open(filepath.Join(s.dir, "data", "ledger", "quarantine", quarantine.FileName), 0)
	if err != nil {
		t.Fatal(err)
	}
	row := &meter.Record{EventID: meter.NewEventID(), Start: time.Now(), TenantID: "acme", ModelAsked: "set-aside", Outcome: meter.OutcomeCompleted, Status: 200}
	if err := q.Add(quarantine.Of(row, "the store refuses it", time.Now())); err != nil {
		t.Fatal(err)
	}
	s.serve()
	response, err := http.Get(strings.TrimSuffix(s.ready.BaseURL, "/v1") + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || !strings.Contains(string(body), `"records":"degraded"`) {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
	out := s.want("", "records", "--book", "quarantine")
	for _, want := range []string{"the store refuses it", row.EventID.String(), "set-aside"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not shown: %s", want, out)
		}
	}
}
