package drain

import (
	"time"

	"github.com/ownkey/ownkey/meter"
)

// A tenant's refusals of one kind get refusalLines lines in refusalInterval:
// whoever has a token could fill the log with them. Every one has its row.
const (
	refusalLines    = 10
	refusalInterval = 10 * time.Second
)

// lines prints rows. It belongs to the drain's worker.
type lines struct {
	printer  *meter.Printer
	refusals map[refusal]*refused // of the last refusalInterval
}

type refusal struct{ tenant, code string }

type refused struct {
	since   time.Time // of the first
	printed int
	left    int64 // without a line
}

// print writes a row's line.
func (l *lines) print(r meter.Row, now time.Time) {
	if request, ok := r.(*meter.Record); ok && request.Outcome == meter.OutcomeRefused && !l.room(request, now) {
		return
	}
	l.printer.Print(r)
}

// room reports whether a refusal gets a line, and counts those that do not.
func (l *lines) room(r *meter.Record, now time.Time) bool {
	of := refusal{r.TenantID, r.ErrorCode}
	seen := l.refusals[of]
	if seen != nil && now.Sub(seen.since) >= refusalInterval {
		l.end(of, seen)
		seen = nil
	}
	if seen == nil {
		seen = &refused{since: now}
		l.refusals[of] = seen
	}
	if seen.printed >= refusalLines {
		seen.left++
		return false
	}
	seen.printed++
	return true
}

// pass says how many lines were left out, of those whose time is over.
func (l *lines) pass(now time.Time) {
	for of, seen := range l.refusals {
		if now.Sub(seen.since) >= refusalInterval {
			l.end(of, seen)
		}
	}
}

func (l *lines) end(of refusal, seen *refused) {
	if seen.left > 0 {
		l.printer.LeftOut(of.tenant, of.code, seen.left)
	}
	delete(l.refusals, of)
}
