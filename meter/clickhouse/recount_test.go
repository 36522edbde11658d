package clickhouse

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatTheServerLosesIsFound: an insertion happens, its answer does not
// arrive, and of what it made something is gone whose token is known (or there
// twice): as after a kill of the server between its notes and its parts.
func TestWhatTheServerLosesIsFound(t *testing.T) {
	for name, harm := range map[string][]string{
		"rows":                 {"DELETE FROM $requests WHERE seq = 2"},
		"sums of hours":        {"DELETE FROM $requests_1h WHERE 1"},
		"sums of days":         {"DELETE FROM $requests_1d WHERE 1"},
		"rows and sums":        {"DELETE FROM $requests WHERE seq = 2", "DELETE FROM $requests_1h WHERE 1"},
		"sums of both":         {"DELETE FROM $requests_1h WHERE 1", "DELETE FROM $requests_1d WHERE 1"},
		"one tenant's sums":    {"DELETE FROM $requests_1h WHERE tenant = 'tenant-1'"},
		"sums are there twice": {"INSERT INTO $requests_1h SELECT * FROM $requests_1h", "INSERT INTO $requests_1d SELECT * FROM $requests_1d"},
		"one sum twice":        {"INSERT INTO $requests_1d SELECT * FROM $requests_1d WHERE tenant = 'tenant-2'"},
		"nothing":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			var tries atomic.Int64
			b.proxy(func(_ http.ResponseWriter, r *http.Request, engine http.Handler) bool {
				if !strings.Contains(statement(r), "`requests` ") || tries.Add(1) != 2 {
					return false
				}
				engine.ServeHTTP(httptest.NewRecorder(), r)
				for _, statement := range harm {
					b.ask(statement)
				}
				panic(http.ErrAbortHandler)
			})
			b.open()
			b.take(batch(0, 100)) // goes through, and is part of the same sums
			b.flush()
			b.take(batch(100, 300))
			b.flush()
			b.close()
			b.want("300\t300\t300", "SELECT (SELECT count() FROM $requests FINAL), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
			for _, table := range []string{"requests_1h", "requests_1d"} {
				b.want("1\t1\t1", "SELECT (SELECT sum(ifNull(input_tokens, 0)) FROM $requests FINAL) = (SELECT sum(s_input_tokens) FROM $"+table+
					"), (SELECT sum(request_bytes) FROM $requests FINAL) = (SELECT sum(s_request_bytes) FROM $"+table+
					"), (SELECT countIf(attempt > 0 AND total_us > 0) FROM $requests FINAL) > 0 AND arrayAll(q -> q > 0, (SELECT quantilesTDigestIfMerge(0.5, 0.9, 0.95, 0.99)(q_total_us) FROM $"+table+"))")
			}
			if said := strings.Contains(b.log.String(), "made again"); said != (harm != nil) && name != "rows" {
				t.Errorf("%s", b.log)
			}
		})
	}
}

// TestWhatTheServerLosesOfOtherBooks: the same where there are no sums.
func TestWhatTheServerLosesOfOtherBooks(t *testing.T) {
	for _, table := range []string{"unseals", "memory_events", "batches"} {
		t.Run(table, func(t *testing.T) {
			b := newBed(t)
			var tries atomic.Int64
			b.proxy(func(_ http.ResponseWriter, r *http.Request, engine http.Handler) bool {
				if !strings.Contains(statement(r), "`"+table+"` ") || tries.Add(1) != 1 {
					return false
				}
				engine.ServeHTTP(httptest.NewRecorder(), r)
				b.ask("DELETE FROM $" + table + " WHERE 1")
				panic(http.ErrAbortHandler)
			})
			b.open()
			b.take(batch(0, 20))
			b.flush()
			b.close()
			want := map[string]string{"unseals": "5", "memory_events": "5", "batches": "3"}[table]
			b.want(want, "SELECT count() FROM $"+table+" FINAL")
		})
	}
}

// TestMendThatIsCutShort: sums were taken away and not made again, as by a kill
// between the two; others go on, and the next start makes them.
func TestMendThatIsCutShort(t *testing.T) {
	for name, code := range map[string]string{"no answer": "", "an answer that says nothing": "49"} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			var tries, cut atomic.Int64
			var mended atomic.Bool
			b.proxy(func(w http.ResponseWriter, r *http.Request, engine http.Handler) bool {
				switch query := statement(r); {
				case strings.Contains(query, "`requests_1h` SELECT") && !mended.Load():
					cut.Add(1)
					w.Header().Set("X-ClickHouse-Exception-Code", code)
					http.Error(w, "Code: "+code+". DB::Exception: no", http.StatusInternalServerError)
					return true
				case strings.Contains(query, "`requests` ") && tries.Add(1) == 2:
					engine.ServeHTTP(httptest.NewRecorder(), r)
					b.ask("DELETE FROM $requests_1h WHERE tenant = 'tenant-1'")
					panic(http.ErrAbortHandler)
				}
				return false
			})
			b.open()
			for i := range 3 {
				b.take(batch(i*100, i*100+100))
			}
			for cut.Load() == 0 || code != "" && b.State().Segments > 1 {
				time.Sleep(5 * time.Millisecond)
			}
			b.close()
			mended.Store(true)
			b.open()
			b.take(batch(300, 400))
			b.flush()
			b.close()
			b.want("400\t400\t400", "SELECT (SELECT count() FROM $requests FINAL), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
		})
	}
}

// TestSumsOutliveTheirRows: rows are kept for 400 days, sums for longer. Where a
// row of a segment has a clock that is far off, the sums of all that lies between
// stay as they are, and nothing is taken for lost that is too old to be kept.
func TestSumsOutliveTheirRows(t *testing.T) {
	for name, clock := range map[string]time.Time{
		"refused": time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC),
		"taken":   start.AddDate(0, 0, -keepDays-60),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			var tries atomic.Int64
			b.proxy(func(_ http.ResponseWriter, r *http.Request, engine http.Handler) bool {
				if !strings.Contains(statement(r), "`requests` ") || tries.Add(1) != 2 {
					return false
				}
				engine.ServeHTTP(httptest.NewRecorder(), r)
				b.ask("DELETE FROM $requests_1h WHERE hour > '" + start.AddDate(0, 0, -1).Format(time.DateTime) + "'")
				b.ask("OPTIMIZE TABLE $requests FINAL")
				panic(http.ErrAbortHandler)
			})
			b.open()
			old := batch(0, 100)
			for _, r := range old.Requests {
				r.Start = r.Start.AddDate(0, 0, -keepDays-40)
			}
			b.take(old)
			b.flush()
			b.ask("OPTIMIZE TABLE $requests FINAL")
			b.want("0\t100", "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1d)")
			late := batch(100, 150)
			late.Requests[7].Start = clock
			b.take(late)
			b.flush()
			b.close()
			young := " WHERE toDate(%s) >= '" + start.AddDate(0, 0, -1).Format(time.DateOnly) + "'"
			for table, at := range map[string]string{"requests_1h": "hour", "requests_1d": "day"} {
				b.want("49", "SELECT sum(s_requests) FROM $"+table+fmt.Sprintf(young, at))
				want := map[string]string{"refused": "100", "taken": "101"}[name]
				b.want(want, "SELECT sum(s_requests) FROM $"+table+" WHERE NOT"+strings.TrimPrefix(fmt.Sprintf(young, at), " WHERE"))
			}
			if strings.Contains(b.log.String(), "does not keep") {
				t.Errorf("%s", b.log)
			}
		})
	}
}

// TestRowsOfARestoredLedger come again, in other segments: they are there once,
// and count once, also when the gateway is started again before they are sent.
func TestRowsOfARestoredLedger(t *testing.T) {
	b := newBed(t).open()
	rows := batch(0, 100)
	b.take(rows)
	b.flush()
	b.close()

	b.options.Dir = t.TempDir()
	rows.Gateway.Epoch, rows.Earlier = rows.Gateway.Epoch+1, true
	b.open()
	b.take(rows)
	b.flush()
	b.close()
	b.want("100\t100\t100", "SELECT (SELECT count() FROM $requests FINAL), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")

	b.options.Dir = t.TempDir()
	rows.Gateway.Epoch++
	s, err := openSpool(b.options.Dir, 1<<20, func(string) {})
	if err == nil {
		err = errors.Join(s.add(batch(100, 101)), s.add(rows)) // the second of two
	}
	if err != nil {
		t.Fatal(err)
	}
	b.open().flush()
	b.close()
	b.want("101\t101\t101", "SELECT (SELECT count() FROM $requests FINAL), (SELECT sum(s_requests) FROM $requests_1h), (SELECT sum(s_requests) FROM $requests_1d)")
}
