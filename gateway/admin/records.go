package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/quarantine"
)

// listing is which rows are asked for.
type listing struct {
	tenant    string
	from, to  time.Time
	book      string    // empty for all
	watermark time.Time // of memory events, if it is asked for
}

func (s *server) listing(values url.Values) (l listing, err error) {
	l.tenant, l.book = values.Get("tenant"), values.Get("book")
	if l.from, l.to, err = timeRange(values, s.Usage.Now(), time.Hour); err != nil {
		return l, err
	}
	if old, ok := map[string]string{"decrypts": "unseals", "memory_events": "memory"}[l.book]; ok {
		l.book = old // the words of the rows themselves
	}
	if l.book != "" && !slices.Contains([]string{"requests", "unseals", "memory", bookQuarantine}, l.book) {
		return l, &failure{http.StatusBadRequest, "invalid_request", "book", "book: want requests, decrypts, memory_events or quarantine"}
	}
	if !values.Has("watermark") {
		return l, nil
	}
	if l.tenant == "" || l.book != "memory" {
		return l, &failure{http.StatusBadRequest, "invalid_request", "watermark", "watermark: only with a tenant and book=memory_events"}
	}
	l.watermark, err = parseTime("watermark", values.Get("watermark"))
	return l, err
}

// bookQuarantine is the rows that were set aside. They are of any time and of
// any tenant.
const bookQuarantine = "quarantine"

// has reports whether a book is asked for.
func (l *listing) has(book string) bool { return l.book == "" || l.book == book }

// records writes rows as JSON lines: unseals, then requests, then memory
// events.
func (s *server) records(w http.ResponseWriter, r *http.Request) error {
	l, err := s.listing(r.URL.Query())
	if err != nil {
		return err
	}
	if err := s.Usage.Flush(r.Context()); err != nil && l.book != bookQuarantine {
		return errors.Join(&failure{http.StatusServiceUnavailable, "store_unavailable", "", "the newest records wait in the ledger; try again"}, err)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // it takes as long as there are rows
	out := listed{w: w}
	if err := s.print(&out, r, &l); err != nil {
		if r.Context().Err() == nil { // else the client has left
			s.Log.Error().Err(err).Msg("cannot list records")
		}
		panic(http.ErrAbortHandler) // a list that is cut must not look whole
	}
	if !out.any && l.book != bookQuarantine {
		return s.known(l.tenant)
	}
	return nil
}

func (s *server) print(out *listed, r *http.Request, l *listing) (err error) {
	if l.book == bookQuarantine {
		return s.printQuarantine(out.w)
	}
	books, ctx := s.Usage.Books, r.Context()
	printer := meter.NewPrinter(out)
	if l.has("unseals") {
		err = books.ListUnseals(ctx, l.tenant, l.from, l.to, func(u *meter.Unseal) error { printer.Print(u); return out.err })
	}
	if err == nil && l.has("requests") {
		err = books.ListRequests(ctx, l.tenant, l.from, l.to, func(q *meter.Record) error { printer.Print(q); return out.err })
	}
	if err != nil || !l.has("memory") {
		return err
	}
	each := func(m *meter.MemoryEvent) error { printer.Print(m); return out.err }
	if l.watermark.IsZero() {
		return books.ListMemoryEvents(ctx, l.tenant, l.from, l.to, each)
	}
	return books.MemoryEvents(ctx, l.tenant, time.Time{}, l.from, l.to, l.watermark, each)
}

// listed passes lines on and keeps the first error for whoever reads the rows:
// the printer's own way is a line on standard error, for each row that is left.
type listed struct {
	w   io.Writer
	any bool // there was a line
	err error
}

// Write writes, unless that has failed before.
func (l *listed) Write(line []byte) (int, error) {
	if l.any = true; l.err == nil {
		_, l.err = l.w.Write(line)
	}
	return len(line), nil
}

// printQuarantine writes the rows that were set aside, with their columns where
// they can be read.
func (s *server) printQuarantine(w io.Writer) error {
	lines := json.NewEncoder(w)
	return s.Quarantine.Each(func(r *quarantine.Row) error {
		line := struct {
			*quarantine.Row
			Columns json.RawMessage `json:"columns,omitempty"`
		}{Row: r}
		if row := r.Decode(); row != nil {
			var printed bytes.Buffer
			meter.NewPrinter(&printed).Print(row)
			line.Columns = printed.Bytes()
		}
		return lines.Encode(line)
	})
}
