package gateway

import (
	"sync"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/rs/zerolog"
)

// failureInterval is how often the log says that a provider fails for one
// cause: an outage would fill it otherwise. Records have every request.
const failureInterval = 10 * time.Second

// failureLog says in the operator's log why providers give no response.
type failureLog struct {
	mu    sync.Mutex
	lines map[failure]*failureLine // bounded: providers are configured, causes a list
}

type failure struct {
	provider string
	cause    meter.ErrorCause
}

type failureLine struct {
	at     time.Time // of the last line
	unsaid int64     // failures since
}

// note takes the record of a request whose provider has failed.
func (f *failureLog) note(log *zerolog.Logger, r *meter.Record) {
	unsaid, due := f.count(failure{r.Provider, r.ErrorCause}, time.Now())
	if !due {
		return
	}
	log.Warn().Str("provider", r.Provider).Stringer("cause", r.ErrorCause).Str("error_code", r.ErrorCode).
		Stringer("request_id", r.RequestID).Str("tenant", r.TenantID).Int64("since_last_line", unsaid).Msg("provider gave no whole response")
}

// count says whether a line is due, and how many failures went without one.
func (f *failureLog) count(what failure, now time.Time) (unsaid int64, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines == nil {
		f.lines = map[failure]*failureLine{}
	}
	line := f.lines[what]
	if line == nil {
		line = &failureLine{}
		f.lines[what] = line
	}
	if now.Sub(line.at) < failureInterval {
		line.unsaid++
		return 0, false
	}
	unsaid, line.at, line.unsaid = line.unsaid, now, 0
	return unsaid, true
}
