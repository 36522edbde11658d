package drain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
)

type logged struct {
	Message string
	Tenant  string
	Code    string `json:"error_code"`
	Lines   int64
}

func parsed(t *testing.T, log *bytes.Buffer) (all []logged) {
	t.Helper()
	for line := range bytes.Lines(log.Bytes()) {
		var l logged
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

// TestRefusalsDoNotFillTheLog: however many refusals a tenant makes, in whatever
// order, its lines of each code are bounded in time, none of them is uncounted,
// and the lines of others are all there.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	l := &lines{printer: meter.NewPrinter(&log), refusals: map[refusal]*refused{}}
	now, sent := time.Unix(1_800_000_000, 0), map[refusal]int64{}
	const seconds = 35 // three intervals and a half
	for i := range 50_000 {
		at := now.Add(time.Duration(i) * seconds * time.Second / 50_000)
		r := &meter.Record{EventID: meter.NewEventID(), TenantID: []string{"loud", "loud", "loud", "louder"}[i%4], ErrorCode: []string{"rate_limited", "not_allowed"}[i/4%2]}
		sent[refusal{r.TenantID, r.ErrorCode}]++
		l.print(r, at)
		if i%1000 == 0 {
			l.print(&meter.Record{EventID: meter.NewEventID(), TenantID: "loud", Outcome: meter.OutcomeCompleted, ErrorCode: "rate_limited"}, at)
			l.print(&meter.Record{EventID: meter.NewEventID(), TenantID: fmt.Sprint("quiet-", i), ErrorCode: "rate_limited"}, at)
			l.pass(at)
		}
		if len(l.refusals) > 4+16 { // those of the last interval, in steps of 0.7 s, and what a pass has not seen yet
			t.Fatalf("%d kinds are remembered", len(l.refusals))
		}
	}
	l.pass(now.Add(seconds*time.Second + refusalInterval))
	printed, left, others := map[refusal]int64{}, map[refusal]int64{}, 0
	for _, line := range parsed(t, &log) {
		of := refusal{line.Tenant, line.Code}
		switch {
		case line.Lines > 0:
			left[of] += line.Lines
		case sent[of] > 0:
			printed[of]++
		default:
			others++
		}
	}
	if others != 50 {
		t.Errorf("%d lines of quiet tenants, want 50", others)
	}
	for of, n := range sent {
		served := int64(0)
		if of == (refusal{"loud", "rate_limited"}) {
			served = 50
		}
		if printed[of]-served != 4*refusalLines || printed[of]-served+left[of] != n {
			t.Errorf("%v: %d lines, %d left out, of %d", of, printed[of]-served, left[of], n)
		}
	}
	if len(l.refusals) != 0 {
		t.Errorf("%d kinds are remembered for good", len(l.refusals))
	}
}
