package clickhouse

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// dashboardDir is where the dashboards lie.
const dashboardDir = "../../deploy/grafana/dashboards"

// board is what a dashboard's file says, as far as queries go.
type board struct {
	file       string
	UID        string   `json:"uid"`
	Title      string   `json:"title"`
	Panels     []panel  `json:"panels"`
	Tags       []string `json:"tags"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []annotation `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Interval    string         `json:"interval"`
	Targets     []target       `json:"targets"`
	Panels      []panel        `json:"panels"` // of a row that is collapsed
	GridPos     map[string]int `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

type target struct {
	Datasource struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	} `json:"datasource"`
	EditorType string `json:"editorType"`
	RawSQL     string `json:"rawSql"`
	Format     int    `json:"format"` // 0 for series, 1 for a table
	Expr       string `json:"expr"`
}

type variable struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Multi      bool            `json:"multi"`
	IncludeAll bool            `json:"includeAll"`
	Query      json.RawMessage `json:"query"` // a text or a target
}

type annotation struct {
	Name   string `json:"name"`
	Target target `json:"target"`
}

// boards loads every dashboard.
func boards(t testing.TB) []board {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dashboardDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards in %s: %v", dashboardDir, err)
	}
	all := make([]board, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &all[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[i].file = filepath.Base(file)
	}
	return all
}

// folded are the panels in collapsed rows.
func (b *board) folded() []panel {
	var all []panel
	for _, p := range b.Panels {
		all = append(all, p.Panels...)
	}
	return all
}

// question is one query of ClickHouse, and where it stands.
type question struct {
	where    string
	sql      string
	series   bool // the answer is drawn over time
	interval time.Duration
}

// questions are all queries of ClickHouse in a dashboard: of panels, of
// variables and of annotations.
func (b *board) questions(t testing.TB) []question {
	t.Helper()
	var all []question
	for _, p := range slices.Concat(b.Panels, b.folded()) {
		for i, target := range p.Targets {
			if target.RawSQL == "" {
				continue
			}
			var least time.Duration
			if p.Interval != "" {
				var err error
				if least, err = time.ParseDuration(strings.Replace(p.Interval, "1d", "24h", 1)); err != nil {
					t.Errorf("%s: %s: %v", b.file, p.Title, err)
				}
			}
			all = append(all, question{fmt.Sprintf("%s/%d %s/%c", b.file, p.ID, p.Title, 'A'+i), target.RawSQL, target.Format == 0, least})
		}
	}
	for _, v := range b.Templating.List {
		if v.Type != "query" {
			continue
		}
		var q target
		if strings.Contains(string(v.Query), "label_values(") {
			continue // asked of Prometheus
		}
		if err := json.Unmarshal(v.Query, &q); err != nil || q.RawSQL == "" {
			t.Errorf("%s: variable %s has no SQL: %v", b.file, v.Name, err)
		}
		all = append(all, question{b.file + "/variable " + v.Name, q.RawSQL, false, 0})
	}
	for _, a := range b.Annotations.List {
		if a.Target.RawSQL != "" {
			all = append(all, question{b.file + "/annotation " + a.Name, a.Target.RawSQL, false, 0})
		}
	}
	return all
}

// viewer is somebody who looks at a dashboard: the range, and what is chosen of
// the variables. A variable without values stands at All.
type viewer struct {
	database string
	from, to time.Time
	chosen   map[string][]string
}

// expand makes of a query what the plugin sends (grafana-clickhouse-datasource
// 4.20.0, src/data/CHDatasource.ts and pkg/macros): first $__conditionalAll,
// then variables, then macros. What it does not know is an error, as are macros
// in the arguments of macros, which older versions of the plugin leave as they
// are.
func (v viewer) expand(q question) (string, error) {
	sql, err := v.conditions(q.sql)
	if err != nil {
		return "", err
	}
	sql, err = v.variables(sql)
	if err != nil {
		return "", err
	}
	return v.macros(sql, v.interval(q.interval))
}

// conditions replaces $__conditionalAll(condition, $variable), the last first.
func (v viewer) conditions(sql string) (string, error) {
	const macro = "$__conditionalAll("
	for at := strings.LastIndex(sql, macro); at >= 0; at = strings.LastIndex(sql, macro) {
		arguments, end := split(sql, at+len(macro))
		if len(arguments) != 2 {
			return "", fmt.Errorf("$__conditionalAll has %d arguments", len(arguments))
		}
		name := strings.TrimPrefix(strings.TrimSpace(arguments[1]), "$")
		condition := "1=1"
		if len(v.chosen[name]) > 0 {
			condition = arguments[0]
		}
		sql = sql[:at] + condition + sql[end:]
	}
	return sql, nil
}

// split gives the arguments up to the closing parenthesis, and where the text
// goes on behind it. As in the plugin, quotes do not count.
func split(sql string, from int) (arguments []string, end int) {
	depth, start := 1, from
	for i := from; i < len(sql); i++ {
		switch sql[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 || depth == 1 && sql[i] == ',' {
			arguments = append(arguments, sql[start:i])
			start = i + 1
		}
		if depth == 0 {
			return arguments, i + 1
		}
	}
	return nil, len(sql)
}

var variableName = regexp.MustCompile(`\$\{(\w+)(?::(\w+))?\}|\$(\w+)`)

// variables replaces ${name} and ${name:singlequote}.
func (v viewer) variables(sql string) (string, error) {
	var err error
	sql = variableName.ReplaceAllStringFunc(sql, func(reference string) string {
		m := variableName.FindStringSubmatch(reference)
		values := v.chosen[m[1]]
		switch {
		case strings.HasPrefix(m[3], "__"):
			return reference // a macro
		case m[1] == "database" && m[2] == "":
			return v.database
		case m[2] == "singlequote" && len(values) > 0:
			quoted := make([]string, len(values))
			for i, s := range values {
				quoted[i] = "'" + strings.ReplaceAll(s, "'", `\'`) + "'"
			}
			return strings.Join(quoted, ",")
		}
		err = fmt.Errorf("%s is no variable with a value, or without a format for lists", reference)
		return reference
	})
	return sql, err
}

var macroName = regexp.MustCompile(`\$__(\w+)`)

// macros replaces the macros that these dashboards use.
func (v viewer) macros(sql string, interval time.Duration) (string, error) {
	for {
		at := macroName.FindStringSubmatchIndex(sql)
		if at == nil {
			return sql, nil
		}
		name, end := sql[at[2]:at[3]], at[1]
		var argument string
		if takesArgument := !slices.Contains([]string{"fromTime", "toTime", "interval_s"}, name); takesArgument {
			if end >= len(sql) || sql[end] != '(' {
				return "", fmt.Errorf("$__%s has no arguments", name)
			}
			var arguments []string
			if arguments, end = split(sql, end+1); len(arguments) != 1 || strings.Contains(arguments[0], "$__") {
				return "", fmt.Errorf("$__%s has arguments %q", name, arguments)
			}
			argument = arguments[0]
		}
		text, ok := v.macro(name, argument, int(interval.Seconds()))
		if !ok {
			return "", fmt.Errorf("$__%s is no macro of the plugin's that this test knows", name)
		}
		sql = sql[:at[0]] + text + sql[end:]
	}
}

func (v viewer) macro(name, argument string, seconds int) (string, bool) {
	from, to := fmt.Sprintf("toDateTime(%d)", v.from.Unix()), fmt.Sprintf("toDateTime(%d)", v.to.Unix())
	switch name {
	case "fromTime":
		return from, true
	case "toTime":
		return to, true
	case "interval_s":
		return fmt.Sprint(seconds), true
	case "timeFilter":
		return fmt.Sprintf("%s >= %s AND %s <= %s", argument, from, argument, to), true
	case "dateFilter":
		return fmt.Sprintf("%s >= toDate('%s') AND %s <= toDate('%s')", argument, v.from.Format(time.DateOnly), argument, v.to.Format(time.DateOnly)), true
	case "timeInterval":
		return fmt.Sprintf("toStartOfInterval(toDateTime(%s), INTERVAL %d second)", argument, seconds), true
	}
	return "", false
}

// interval is the step that Grafana takes for a panel of a thousand points.
func (v viewer) interval(least time.Duration) time.Duration {
	want := max(least, v.to.Sub(v.from)/1000)
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if step >= want {
			return step
		}
	}
	return 24 * time.Hour
}
