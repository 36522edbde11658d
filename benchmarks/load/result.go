package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has seen. All of its clients' calls are in exactly one
// of Good, Wrong, Failed, Aborted and Unanswered.
type Result struct {
	Sent       int64         `json:"sent"`
	Good       int64         `json:"good"`
	Wrong      int64         `json:"wrong"`      // 200, but not what the provider sent, or not to its end
	Failed     int64         `json:"failed"`     // another status, or a broken connection
	Aborted    int64         `json:"aborted"`    // closed by the client, as planned
	Unanswered int64         `json:"unanswered"` // when the run's patience ended
	Unsent     int64         `json:"unsent"`     // of those: no connection was free for them until then
	Repeated   int64         `json:"repeated"`   // calls that the provider got more than once
	Wasted     int64         `json:"wasted"`     // chunks that the provider sent after the client had gone
	Statuses   map[int]int64 `json:"statuses"`
	Dialed     int64         `json:"dialed"`    // connections
	Forwarded  int64         `json:"forwarded"` // bytes of bodies that the provider got
	Took       time.Duration `json:"took_ns"`

	// From the moment at which a call was due, so that a stall counts for all
	// that had to wait for it.
	Latency   *Times `json:"latency"`    // to the last byte
	FirstByte *Times `json:"first_byte"` // of the answer
	Delay     *Times `json:"delay"`      // of a chunk, from the provider's write to the client's read
	Gap       *Times `json:"gap"`        // what was added to the gap between two chunks
	Closed    *Times `json:"closed"`     // from the client's end to the end at the provider
	// Late is how much later than it was due the load itself came to a call:
	// what no gateway can be blamed for.
	Late *Times `json:"late"`
}

func newResult() *Result {
	return &Result{Statuses: map[int]int64{}, Latency: newTimes(), FirstByte: newTimes(), Delay: newTimes(), Gap: newTimes(), Closed: newTimes(), Late: newTimes()}
}

// Rate is good answers per second.
func (r *Result) Rate() float64 { return float64(r.Good) / r.Took.Seconds() }

// Times is a distribution of durations, to three digits, up to a minute.
type Times struct{ *hdrhistogram.Histogram }

func newTimes() *Times {
	const digits = 3
	return &Times{hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), digits)}
}

func (t *Times) add(ns int64) {
	_ = t.RecordValue(min(max(ns, 0), int64(time.Minute)))
}

// At gives a quantile, of 0 to 1; zero if there is nothing.
func (t *Times) At(q float64) time.Duration { return time.Duration(t.ValueAtQuantile(100 * q)) }

// MarshalText gives HdrHistogram's compressed form, which its tools of all
// languages read.
func (t *Times) MarshalText() ([]byte, error) {
	if t.TotalCount() == 0 {
		return nil, nil
	}
	return t.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalText reads what MarshalText wrote.
func (t *Times) UnmarshalText(b []byte) (err error) {
	*t = *newTimes()
	if len(b) > 0 {
		t.Histogram, err = hdrhistogram.Decode(b)
	}
	return err
}
