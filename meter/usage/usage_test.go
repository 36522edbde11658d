package usage

import (
	"reflect"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// TestSumNamesArePointers: each name stands for one field, and no field is left
// out.
func TestSumNamesArePointers(t *testing.T) {
	var s Sums
	seen := map[*int64]bool{}
	for _, p := range s.Pointers() {
		seen[p] = true
	}
	if fields := reflect.TypeFor[Sums]().NumField(); len(seen) != fields || len(SumNames) != fields {
		t.Errorf("%d fields, %d pointers, %d names", fields, len(seen), len(SumNames))
	}
}

func TestWhatARequestAdds(t *testing.T) {
	for name, c := range map[string]struct {
		r    meter.Record
		want Sums
	}{
		"whole stream": {
			meter.Record{Outcome: meter.OutcomeCompleted, Status: 200, Streamed: true, Attempt: 1, Events: 12, UsageSource: meter.UsageProvider, OutputTokens: meter.Count{N: 10, Set: true}, Memory: meter.MemoryHit, MemoryRecalled: 3},
			Sums{Requests: 1, Streamed: 1, OutputTokens: 10, WholeStreams: 1, WholeEvents: 12, WholeOutputTokens: 10, MemoryHits: 1, MemoryRecalled: 3},
		},
		"client left":         {meter.Record{Outcome: meter.OutcomeClientCancelled, Status: 200, Streamed: true, Attempt: 1, Events: 4}, Sums{Requests: 1, Streamed: 1, Cancelled: 1, UnknownUsage: 1, CutStreams: 1, CutEvents: 4}},
		"refused by us":       {meter.Record{Outcome: meter.OutcomeRefused, Status: 401}, Sums{Requests: 1, Refused: 1}},
		"provider's error":    {meter.Record{Outcome: meter.OutcomeCompleted, Status: 429, Attempt: 1}, Sums{Requests: 1, Failed: 1, UnknownUsage: 1}},
		"gateway died":        {meter.Record{Outcome: meter.OutcomeInterrupted, Attempt: 1, UsageSource: meter.UsagePartial}, Sums{Requests: 1, Failed: 1, UnknownUsage: 1}},
		"stream without word": {meter.Record{Outcome: meter.OutcomeCompleted, Status: 200, Streamed: true, Attempt: 1, Events: 9}, Sums{Requests: 1, Streamed: 1, UnknownUsage: 1}},
	} {
		if got := SumsOf(&c.r); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSavedOutput(t *testing.T) {
	// Ten streams of 100 tokens in 50 events; two were left after 10 and 20 events.
	r := Row{Sums: Sums{WholeStreams: 10, WholeEvents: 500, WholeOutputTokens: 1000, CutStreams: 2, CutEvents: 30}}
	if r.Finish(); r.SavedOutputTokens != 200-60 {
		t.Errorf("%d", r.SavedOutputTokens)
	}
	for name, s := range map[string]Sums{
		"nobody left":           {WholeStreams: 10, WholeEvents: 500, WholeOutputTokens: 1000},
		"nothing to compare to": {CutStreams: 2, CutEvents: 30},
		"left at the end":       {WholeStreams: 1, WholeEvents: 10, WholeOutputTokens: 10, CutStreams: 1, CutEvents: 40},
	} {
		r := Row{Sums: s}
		if r.Finish(); r.SavedOutputTokens != 0 {
			t.Errorf("%s: %d", name, r.SavedOutputTokens)
		}
	}
}

func TestWholeHours(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 30, 0, 0, time.FixedZone("", 3600))
	q := Question{From: at, To: at.Add(time.Hour)}.Whole()
	if q.From.Format(time.RFC3339) != "2026-11-24T08:00:00Z" || q.To.Format(time.RFC3339) != "2026-11-24T10:00:00Z" {
		t.Errorf("%v %v", q.From, q.To)
	}
	if q.Whole() != q {
		t.Error("whole hours grow")
	}
	if by, err := ParseBy(""); by != ByDay || err != nil {
		t.Error(by, err)
	}
	if _, err := ParseBy("year"); err == nil {
		t.Error("by year")
	}
}
