package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter/usage"
)

// plan is how SQLite goes about a statement, a line a step.
func plan(t *testing.T, s *Store, query string, bound []any) string {
	t.Helper()
	rows, err := s.db.Read.Query("EXPLAIN QUERY PLAN "+query, bound...)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// TestEveryQuestionHasAPlanByItsKey: no form of a question about usage or
// evidence reads rows of tenants or times that were not asked for.
func TestEveryQuestionHasAPlanByItsKey(t *testing.T) {
	s := open(t)
	if err := s.Take(t.Context(), batch(50)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Write.Exec("ANALYZE"); err != nil { // also with statistics
		t.Fatal(err)
	}
	check := func(what, table, wanted, query string, bound []any) {
		t.Helper()
		got := plan(t, s, query, bound)
		if strings.Contains(got, "SCAN "+table) || !strings.Contains(got, wanted) {
			t.Errorf("%s: %s\nwant %s, got\n%s", what, query, wanted, got)
		}
	}
	sources := map[string]source{"one tenant": ofTenant("tenant-0"), "all": everyTenant}
	for name, of := range sources {
		for by := range keys {
			for i := range 8 {
				q := usage.Question{By: by, From: noon, To: noon.Add(time.Hour), Limit: 10 * (i & 4)}
				if i&1 > 0 {
					q.Token = "token-1"
				}
				q.After = usage.Cursor{Set: i&2 > 0, Key: "k"}
				what := fmt.Sprintf("%s by %s, form %d", name, by, i)
				query, bound := of.sums(q)
				check(what, "requests_1h", "SEARCH requests_1h USING PRIMARY KEY (tenant=? AND hour>? AND hour<?)", query, bound)
				query, bound = of.latencies(q, "z")
				check(what, "latency_1h", "SEARCH latency_1h USING PRIMARY KEY (tenant=? AND hour>? AND hour<?)", query, bound)
			}
		}
	}
	check("next tenant", "requests_1h", "SEARCH requests_1h USING PRIMARY KEY (tenant>?)", nextTenant, []any{"a"})
	for table, columns := range map[string]string{"requests": "row", "unseals": "row", "memory_events": "*"} {
		where, bound := inRange("tenant-0", noon, noon.Add(time.Hour))
		from := table
		if columns == "row" {
			from = ofTable(table, "tenant-0")
		}
		check("list", table, "(tenant=? AND at>? AND at<?)", "SELECT "+columns+" FROM "+from+where, bound)
		where, bound = inRange("", noon, noon.Add(time.Hour))
		check("list of all", table, "(at>? AND at<?)", "SELECT "+columns+" FROM "+table+where, bound)
		if got := plan(t, s, "SELECT "+columns+" FROM "+table+where, bound); strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s of all is sorted: %s", table, got)
		}
	}
}
