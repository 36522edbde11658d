package deploy_test

import (
	"encoding/json"
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

var metricName = regexp.MustCompile(`\bownkey_[a-z0-9_]+`)

// registers are the methods that make a metric.
var registers = regexp.MustCompile(`(?i)(gauge|counter|histogram|summary|^state)$`)

// registered are the metrics that the program's sources make, with the kind of
// each. A metric's name is a literal in the call that makes it.
func registered(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." || entry.Name() == "tools") {
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
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 && registers.MatchString(called(call)) {
				for _, name := range names(call.Args[0]) {
					all[name] = strings.ToLower(called(call))
				}
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

// called is the name of the function or method of a call.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// names are the metrics' names in an expression's literals.
func names(e ast.Expr) (all []string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				all = append(all, metricName.FindAllString(text, 1)...)
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
	for _, want := range []string{"ownkey_ledger_bytes", "ownkey_ledger_trouble_total", "ownkey_vault_unseal_seconds", "ownkey_clickhouse_segments"} {
		if have[want] == "" {
			t.Fatalf("%s is not found in the sources: %v", want, have)
		}
	}
	for where, text := range expressions(t) {
		used := metricName.FindAllString(text, -1)
		if strings.HasSuffix(where, ".json") && len(used) == 0 {
			t.Errorf("%s: %s names no metric", where, text)
		}
		for _, name := range used {
			whole := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
			switch {
			case have[name] == "" && !strings.Contains(have[whole], "histogram"):
				t.Errorf("%s: %s is no metric of the program's", where, name)
			case strings.Contains(have[name], "histogram"):
				t.Errorf("%s: %s is a histogram; its buckets are by vmrange, which Prometheus does not know: use _sum and _count", where, name)
			}
		}
	}
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
	manual, err := os.ReadFile("../docs/dashboards.md")
	if err != nil {
		t.Fatal(err)
	}
	all["docs/dashboards.md"] = string(manual)
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
