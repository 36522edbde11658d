package deploy_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	metricName = regexp.MustCompile(`\bownkey_[a-z0-9_]+`)
	// ofProcess are metrics that Prometheus's client makes by itself; the running
	// program is asked for them.
	ofProcess = regexp.MustCompile(`\b(process|go)_[a-z0-9_]+`)
)

// metric is one of the program's.
type metric struct {
	kind   string // counter, gauge or histogram
	help   string
	labels []string
}

// registered are the metrics that the program's sources make. A metric is
// registered with Opts of Prometheus's client, and its name and help are
// literals there.
func registered(t *testing.T) map[string]metric {
	t.Helper()
	all := map[string]metric{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." || entry.Name() == "tools" || entry.Name() == "benchmarks") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if name, m, ok := made(call); ok {
				if _, twice := all[name]; twice || m.help == "" {
					t.Errorf("%s: %s is registered twice, or without a literal name and help", path, name)
				}
				all[name] = m
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// made reads a call such as NewCounterVec(prometheus.CounterOpts{…}, labels).
func made(call *ast.CallExpr) (name string, m metric, ok bool) {
	opts, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return "", m, false
	}
	kind, ok := opts.Type.(*ast.SelectorExpr)
	if !ok || !strings.HasSuffix(kind.Sel.Name, "Opts") || fmt.Sprint(kind.X) != "prometheus" {
		return "", m, false
	}
	m.kind = strings.ToLower(strings.TrimSuffix(kind.Sel.Name, "Opts"))
	for _, e := range opts.Elts {
		field, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch fmt.Sprint(field.Key) {
		case "Name":
			name = strings.Join(literals(field.Value), "")
		case "Help":
			m.help = strings.Join(literals(field.Value), "")
		}
	}
	if len(call.Args) > 1 {
		if list, isList := call.Args[1].(*ast.CompositeLit); isList {
			m.labels = literals(list)
		}
	}
	return name, m, true
}

// literals are the strings in an expression.
func literals(e ast.Expr) (all []string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}

// TestMetricsExist: whatever a dashboard, an alert or the manual names is a
// metric of the program.
func TestMetricsExist(t *testing.T) {
	have := registered(t)
	for name, kind := range map[string]string{
		"ownkey_ledger_bytes": "gauge", "ownkey_ledger_trouble_total": "counter", "ownkey_vault_decrypt_seconds": "histogram", "ownkey_clickhouse_segments": "gauge",
	} {
		if have[name].kind != kind {
			t.Fatalf("%s is not found in the sources: %v", name, have)
		}
	}
	for where, text := range expressions(t) {
		used := metricName.FindAllString(text, -1)
		if strings.HasSuffix(where, ".json") && len(used) == 0 && !ofProcess.MatchString(text) {
			t.Errorf("%s: %s names no metric", where, text)
		}
		for _, name := range used {
			if _, ok := have[name]; !ok && !ofHistogram(have, name) {
				t.Errorf("%s: %s is no metric of the program's", where, name)
			}
		}
	}
}

// ofHistogram reports whether a name is that of a series of a histogram.
func ofHistogram(have map[string]metric, name string) bool {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if whole, ok := strings.CutSuffix(name, suffix); ok && have[whole].kind == "histogram" {
			return true
		}
	}
	return false
}

// expressions are the queries of Prometheus, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	read(t, "prometheus/alerts.yml", &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
				t.Errorf("alert is not finished: %+v", r)
			}
			all["alerts.yml: "+r.Alert] = r.Expr
		}
	}
	for _, page := range []string{"dashboards", "security-audit", "metering", "limits", "memory"} {
		manual, err := os.ReadFile("../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		all["docs/"+page+".md"] = string(manual)
	}
	for _, file := range dashboards(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board shown
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		board.add(file, all)
	}
	return all
}

// shown is a dashboard, or a panel of one; rows hold panels.
type shown struct {
	Title   string  `json:"title"`
	Panels  []shown `json:"panels"`
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
}

func (s shown) add(file string, to map[string]string) {
	for _, target := range s.Targets {
		if target.Expr != "" {
			to[s.Title+"/"+target.RefID+" of "+file] = target.Expr
		}
	}
	for _, p := range s.Panels {
		p.add(file, to)
	}
}
