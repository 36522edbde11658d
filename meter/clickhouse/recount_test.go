package clickhouse

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
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
				if !strings.Contains(r.URL.Query().Get("query"), "`requests` ") || tries.Add(1) != 2 {
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
				if !strings.Contains(r.URL.Query().Get("query"), "`"+table+"` ") || tries.Add(1) != 1 {
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
