package meter

import (
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
)

// Messages of the lines that rows are printed as.
const (
	MessageRequest = "request done"
	MessageUnseal  = "unseal"
	MessageMemory  = "memory"
)

// Printer writes rows as JSON lines: the operator's log, and what auditors
// read. It is for one goroutine at a time.
type Printer struct{ log zerolog.Logger }

// NewPrinter makes a printer to w. A failure of w is w's concern.
func NewPrinter(w io.Writer) *Printer { return &Printer{zerolog.New(w)} }

// Print writes one line. Columns that are zero or unknown are left out, but
// for ids, times and enums.
func (p *Printer) Print(r Row) {
	message := MessageRequest
	switch r.(type) {
	case *Unseal:
		message = MessageUnseal
	case *MemoryEvent:
		message = MessageMemory
	}
	e := p.log.Info()
	if !e.Enabled() {
		return // the operator's log shows warnings only
	}
	r.Columns(line{e})
	e.Msg(message)
}

// LeftOut writes how many refusals of a tenant and code got no line.
func (p *Printer) LeftOut(tenant, code string, n int64) {
	p.log.Info().Str("tenant", tenant).Str("error_code", code).Int64("lines", n).Msg("lines of refused requests were left out; records have each")
}

// line writes columns to an event of zerolog's.
type line struct{ e *zerolog.Event }

func (l line) UUID(name string, v *uuid.UUID) {
	if *v != uuid.Nil {
		l.e.Stringer(name, v)
	}
}

func (l line) Time(name string, v *time.Time) {
	l.e.Str(name, v.UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
}

func (l line) Name(name string, v *string) {
	if *v != "" {
		l.e.Str(name, *v)
	}
}

func (l line) ID(name string, v *string) { l.Name(name, v) }

func (l line) Enum(name string, v *uint8, names []string) { l.e.Str(name, names[*v]) }

func (l line) Number(name string, v *int64) {
	if *v != 0 {
		l.e.Int64(name, *v)
	}
}

func (l line) Count(name string, v *Count) {
	if v.Set {
		l.e.Int64(name, v.N)
	}
}

func (l line) Duration(name string, v *time.Duration) {
	if *v != 0 {
		l.e.Int64(name, v.Microseconds())
	}
}

func (l line) Flag(name string, v *bool) {
	if *v {
		l.e.Bool(name, true)
	}
}
