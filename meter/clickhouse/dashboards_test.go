package clickhouse

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
)

// dashboardRows says how many requests the dashboards are tried on. Set
// DASHBOARD_ROWS=1000000 to measure: from a hundred thousand on, a query that
// takes longer than a second fails.
func dashboardRows(t testing.TB) int {
	t.Helper()
	text := os.Getenv("DASHBOARD_ROWS")
	if text == "" {
		return 6000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 6000 {
		t.Fatalf("DASHBOARD_ROWS is %q; want a number of at least 6000", text)
	}
	return n
}

// answer is what the engine says to a query.
type answer struct {
	Meta []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"meta"`
	Data [][]any `json:"data"`
	took time.Duration
}

func (b *bed) query(t testing.TB, sql string) answer {
	t.Helper()
	began := time.Now()
	text := clickhousetest.Run(t, b.engine, sql+"\nFORMAT JSONCompact")
	a := answer{took: time.Since(began)}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return a
}

// TestDashboardQueries runs every query of every dashboard on the real engine,
// over a month with all variables at All, where each column of each answer has
// to show something; and over six hours with values chosen. The engine refuses
// a table or column that the schema does not have.
func TestDashboardQueries(t *testing.T) {
	b := newBed(t)
	n := dashboardRows(t)
	manyRows(t, b, n)
	now := time.Now().UTC()
	month := viewer{database: b.name, from: now.Add(-seedDays * 24 * time.Hour), to: now}
	some := map[string][]string{"tenant": {"tenant-7", "o'brien"}, "provider": {"openai", "anthropic"}, "model": {"model-openai-0"}}
	hours := viewer{database: b.name, from: now.Add(-6 * time.Hour), to: now, chosen: some}
	week := viewer{database: b.name, from: now.Add(-7 * 24 * time.Hour), to: now}
	var slowest answer
	var slowestIs string
	asked := manualQuestions(t)
	for _, d := range boards(t) {
		asked = append(asked, d.questions(t)...)
	}
	for _, q := range asked {
		for i, v := range []viewer{month, week, hours} {
			t.Run(fmt.Sprint(q.where, " ", v.to.Sub(v.from)), func(t *testing.T) {
				sql, err := v.expand(q)
				if err != nil {
					t.Fatal(err)
				}
				a := b.query(t, sql)
				if i == 0 {
					showsSomething(t, a)
				}
				if q.series {
					isSeries(t, a)
				}
				if strings.HasSuffix(q.where, "/variable database") && !slices.ContainsFunc(a.Data, func(row []any) bool { return row[0] == b.name }) {
					t.Errorf("databases are %v", a.Data)
				}
				if a.took > slowest.took {
					slowest, slowestIs = a, t.Name()
				}
				if n >= 100_000 && a.took > time.Second {
					t.Errorf("took %v on %d requests", a.took, n)
				}
			})
		}
	}
	t.Logf("%d queries on %d requests; the slowest took %v: %s", len(asked), n, slowest.took.Round(time.Millisecond), slowestIs)
}

// manualQuestions are the queries of docs/dashboards.md.
func manualQuestions(t *testing.T) []question {
	t.Helper()
	text, err := os.ReadFile("../../docs/dashboards.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []question
	for _, m := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		sql := strings.ReplaceAll(m[1], " ownkey.", " `${database}`.")
		all = append(all, question{where: fmt.Sprint("docs/dashboards.md/", len(all)+1), sql: sql})
	}
	if len(all) == 0 {
		t.Error("docs/dashboards.md has no queries")
	}
	return all
}

// readable are the types of columns that the dashboards give the plugin, which
// reads them as numbers, texts and times (its pkg/converters).
var readable = regexp.MustCompile(`^(U?Int(8|16|32|64)|Float64|String|LowCardinality\(String\)|DateTime(64)?\(.*\))$`)

// showsSomething wants rows, and in each column a value that is not empty, of a
// type that can be shown.
func showsSomething(t *testing.T, a answer) {
	t.Helper()
	if len(a.Data) == 0 {
		t.Error("the answer is empty")
	}
	for i, column := range a.Meta {
		if !readable.MatchString(column.Type) {
			t.Errorf("column %s is a %s", column.Name, column.Type)
		}
		blank := func(row []any) bool {
			return row[i] == nil || row[i] == "" || row[i] == "0" || row[i] == 0.0
		}
		if !slices.ContainsFunc(a.Data, func(row []any) bool { return !blank(row) }) {
			t.Errorf("column %s is empty in all %d rows", column.Name, len(a.Data))
		}
	}
}

// isSeries wants what Grafana draws over time: the first column is the time, in
// order, and at most one other is a text, which names the lines.
func isSeries(t *testing.T, a answer) {
	t.Helper()
	if a.Meta[0].Name != "time" || !strings.HasPrefix(a.Meta[0].Type, "DateTime") {
		t.Errorf("the first column is %s %s", a.Meta[0].Name, a.Meta[0].Type)
	}
	texts := 0
	for _, m := range a.Meta[1:] {
		if strings.Contains(m.Type, "String") {
			texts++
		}
	}
	if texts > 1 {
		t.Errorf("%d columns of text: %v", texts, a.Meta)
	}
	if !slices.IsSortedFunc(a.Data, func(x, y []any) int { return strings.Compare(fmt.Sprint(x[0]), fmt.Sprint(y[0])) }) {
		t.Error("the rows are not in the order of time")
	}
}

var (
	tableName = regexp.MustCompile(`(?i)\b(?:FROM|JOIN)\s+([^\s(]+)`)
	timeMacro = regexp.MustCompile(`\$__(timeFilter|dateFilter|fromTime|toTime)|now64`)
)

// TestDashboardsReadOurTables: nothing but the schema's tables in the chosen
// database, and nothing without a bound in time. The column row of rejects
// holds whole records and stays where it is.
func TestDashboardsReadOurTables(t *testing.T) {
	for _, d := range boards(t) {
		for _, q := range d.questions(t) {
			if strings.HasSuffix(q.where, "/variable database") {
				continue // reads system.tables
			}
			for _, m := range tableName.FindAllStringSubmatch(q.sql, -1) {
				table, ours := strings.CutPrefix(m[1], "`${database}`.")
				if !ours || !slices.Contains(schema{}.tables(), table) {
					t.Errorf("%s reads %s", q.where, m[1])
				}
			}
			if !timeMacro.MatchString(q.sql) {
				t.Errorf("%s has no bound in time", q.where)
			}
			if regexp.MustCompile(`\brow\b`).MatchString(q.sql) {
				t.Errorf("%s reads the column row", q.where)
			}
		}
	}
}

// money is what no dashboard may speak of.
var money = regexp.MustCompile(`(?i)\b(usd|eur|dollars?|cents?|price|cost|micro_usd)\b|currency`)

// TestDashboardsAreFinished: what Grafana and a reader need of each panel.
func TestDashboardsAreFinished(t *testing.T) {
	uids := map[string]string{
		"errors.json": "ownkey-errors", "gateway.json": "ownkey-gateway", "latency.json": "ownkey-latency", "memory.json": "ownkey-memory",
		"meter.json": "ownkey-meter", "tenants.json": "ownkey-tenants", "traffic.json": "ownkey-traffic",
	}
	all := boards(t)
	if len(all) != len(uids) {
		t.Errorf("%d dashboards, want %d", len(all), len(uids))
	}
	for _, d := range all {
		if d.UID != uids[d.file] || d.Title == "" || !slices.Contains(d.Tags, "ownkey") {
			t.Errorf("%s: uid %s, title %s, tags %v", d.file, d.UID, d.Title, d.Tags)
		}
		text, err := os.ReadFile(dashboardDir + "/" + d.file)
		if err != nil {
			t.Fatal(err)
		}
		if m := money.Find(text); m != nil {
			t.Errorf("%s speaks of money: %s", d.file, m)
		}
		ids := map[int]bool{}
		for _, p := range slices.Concat(d.Panels, d.folded()) {
			if ids[p.ID] {
				t.Errorf("%s: two panels have id %d", d.file, p.ID)
			}
			ids[p.ID] = true
			finished(t, d.file, p)
		}
	}
}

func finished(t *testing.T, file string, p panel) {
	t.Helper()
	if p.Title == "" || p.ID == 0 || p.GridPos["w"] == 0 || p.GridPos["x"]+p.GridPos["w"] > 24 {
		t.Errorf("%s: panel %d %q at %v", file, p.ID, p.Title, p.GridPos)
	}
	if p.Type == "row" {
		return
	}
	if len(p.Description) < 20 || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
		t.Errorf("%s: panel %q has description %q, unit %q, %d queries", file, p.Title, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets))
	}
	for _, target := range p.Targets {
		sql := target.Datasource.Type == "grafana-clickhouse-datasource" && target.Datasource.UID == "${datasource}" && target.EditorType == "sql" && target.RawSQL != ""
		promql := target.Datasource.Type == "prometheus" && target.Datasource.UID == "${prometheus}" && target.Expr != ""
		if sql == promql || (target.Format == 0) != (p.Type == "timeseries" && sql) && sql {
			t.Errorf("%s: panel %q has a query that is neither of ClickHouse nor of Prometheus, or of the wrong format", file, p.Title)
		}
	}
}
