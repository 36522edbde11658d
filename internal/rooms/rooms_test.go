package rooms

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/ownkey/ownkey/"

// leaves are the rooms that gateway meets, and nobody else.
var leaves = []string{"directory", "vaultbridge", "wire", "memory", "upstream", "meter"}

// rule says which imports a room may not reach, and why.
type rule struct {
	room   string // folder below the module
	banned []string
	why    string
}

var rules = []rule{
	{"wire", []string{"github.com/rs/zerolog", "log", "log/slog"}, "a room that sees text may not log"},
	{"wire", []string{"fmt"}, "errors of this room are values without body bytes"},
	{"wire", []string{"net", "os", "github.com/valyala/fasthttp"}, "a room that sees text may not dial or write files"},
	{"memory", []string{"github.com/rs/zerolog", "log", "log/slog"}, "a room that sees text may not log"},
	{"memory", []string{"github.com/valyala/fasthttp"}, "bodies arrive as bytes or a reader"},
	{"memory", []string{"net/http", "os/exec", "crypto/tls"}, "a room that sees text may not dial"},
	{"meter", []string{module + "wire", module + "memory"}, "the meter can not see a body"},
	{"vaultbridge", []string{module + "wire", module + "memory"}, "the key path can not see a body"},
	{"upstream", []string{module + "wire", module + "memory"}, "bytes are opaque to an attempt"},
	{"directory", []string{module + "wire", module + "memory"}, "who may call has nothing to do with what is said"},
	{"config", []string{module}, "config imports none of ours"},
	{"meter/invoice", []string{module + "meter/usage", module + "meter/sqlite", module + "meter/clickhouse"}, "an invoice sees memory events only"},
}

// only says who may import a foreign package directly.
var only = []struct{ pkg, room, why string }{
	{"github.com/hashicorp/vault", "vaultbridge", "only vaultbridge speaks to Vault"},
	{"github.com/ClickHouse", "meter", "only meter speaks to ClickHouse"},
	{"github.com/dgraph-io/ristretto", "vaultbridge", "only vaultbridge caches secrets"},
	{"modernc.org/sqlite", "internal/db", "only internal/db opens databases"},
	{"github.com/sony/gobreaker", "vaultbridge", "only the key path has a breaker"},
	{module + "internal/clickhouseserver", "cmd/ownkey", "an engine of our own is for dev, tests and benchmarks"},
	{module + "internal/vaultserver", "cmd/ownkey", "a Vault of our own is for dev, tests and benchmarks"},
}

// goList gives the import paths that `go list` prints for a template.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func packages(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, p := range goList(t, "./...") {
		all[p] = true
	}
	return all
}

// under reports whether pkg is prefix or below it.
func under(pkg, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return pkg == prefix || strings.HasPrefix(pkg, prefix+"/")
}

// TestRoomsDoNotReach checks the rules on everything a room reaches, at any
// depth.
func TestRoomsDoNotReach(t *testing.T) {
	all := packages(t)
	for _, r := range rules {
		if !all[module+r.room] {
			continue // a room that is not built yet
		}
		for _, line := range goList(t, "-deps", "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, "./"+r.room+"/...") {
			importer, dep, _ := strings.Cut(line, "=")
			for _, banned := range r.banned {
				if under(dep, banned) && !under(dep, module+r.room) && !under(importer, banned) && harmless[importer] != banned {
					t.Errorf("%s reaches %s by way of %s: %s", r.room, dep, importer, r.why)
				}
			}
		}
	}
}

// harmless are packages that were read, and what they may import: the stemmer's
// only use of log is Env.Debug, which prints two numbers and which nothing
// calls (v0.9.0).
var harmless = map[string]string{"github.com/blevesearch/snowballstem": "log"}

// TestLeavesDoNotImportEachOther: what a leaf needs of another it declares as
// an interface. memory may name wire's opaque text.
func TestLeavesDoNotImportEachOther(t *testing.T) {
	all := packages(t)
	for _, room := range leaves {
		if !all[module+room] {
			continue
		}
		for _, dep := range goList(t, "-deps", "./"+room+"/...") {
			for _, other := range leaves {
				if other == room || (room == "memory" && other == "wire") {
					continue
				}
				if under(dep, module+other) {
					t.Errorf("%s reaches %s: leaves do not import each other", room, other)
				}
			}
			if under(dep, module+"gateway") || under(dep, module+"cmd") {
				t.Errorf("%s reaches %s: imports go one way", room, dep)
			}
		}
	}
}

// TestForeignPackagesHaveOneDoor checks who imports a library directly.
func TestForeignPackagesHaveOneDoor(t *testing.T) {
	for _, line := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, "./...") {
		importer, imported, _ := strings.Cut(line, "=")
		for _, o := range only {
			if under(imported, o.pkg) && !under(importer, module+o.room) && !under(importer, o.pkg) && !under(importer, module+"benchmarks") {
				t.Errorf("%s imports %s: %s", importer, imported, o.why)
			}
		}
		if under(imported, module+"benchmarks") && !under(importer, module+"benchmarks") || under(imported, module+"conformance") {
			t.Errorf("%s imports %s: nothing imports the measuring rooms", importer, imported)
		}
		if under(imported, "encoding/json") && (importer == module+"meter" || importer == module+"gateway") {
			t.Errorf("%s imports encoding/json: bodies are decoded in wire", importer)
		}
	}
}

// TestGoroutinesEndWithoutQuoting: a goroutine that panics ends the process, and
// Go would print the panic's value. Each of the program's own begins with
// crash.Exit, deferred, be it a function or a method.
func TestGoroutinesEndWithoutQuoting(t *testing.T) {
	guarded := map[string]bool{} // functions that begin so, by folder and name
	var begun []string           // places of go statements and calls of Go
	bad := map[string]string{}
	for _, file := range productFiles(t) {
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		check := func(at token.Pos, f ast.Expr) {
			place := fset.Position(at).String()
			begun = append(begun, place)
			switch f := f.(type) {
			case *ast.FuncLit:
				if !beginsGuarded(f.Body) && !onlyCalls(f.Body, func(name string) { bad[place] = name }) {
					bad[place] = "the function literal"
				}
			case *ast.SelectorExpr:
				bad[place] = f.Sel.Name
			case *ast.Ident:
				bad[place] = f.Name
			default:
				bad[place] = "something else"
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Body != nil && beginsGuarded(n.Body) {
					guarded[filepath.Dir(file)+" "+n.Name.Name] = true
				}
			case *ast.AssignStmt:
				if f, ok := n.Rhs[0].(*ast.FuncLit); ok && beginsGuarded(f.Body) {
					guarded[filepath.Dir(file)+" "+n.Lhs[0].(*ast.Ident).Name] = true
				}
			case *ast.GoStmt:
				check(n.Pos(), n.Call.Fun)
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && len(n.Args) == 1 {
					check(n.Pos(), n.Args[0])
				}
			}
			return true
		})
	}
	for place, name := range bad {
		if !guarded[filepath.Dir(place)+" "+name] {
			t.Errorf("%s: %s does not begin with defer crash.Exit()", place, name)
		}
	}
	if len(begun) < 20 {
		t.Errorf("only %d goroutines were found", len(begun))
	}
}

// productFiles are the Go files of the program itself.
func productFiles(t *testing.T) (all []string) {
	t.Helper()
	for _, line := range goList(t, "-deps", "-f", `{{$d := .Dir}}{{if .Module}}{{if .Module.Main}}{{range .GoFiles}}{{$d}}/{{.}} {{end}}{{end}}{{end}}`, "./cmd/ownkey") {
		if !strings.Contains(line, "internal/fakeprovider") && !strings.Contains(line, "internal/clickhouseserver") && !strings.Contains(line, "internal/vaultserver") {
			all = append(all, line)
		}
	}
	return all
}

func beginsGuarded(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	d, ok := b.List[0].(*ast.DeferStmt)
	if !ok {
		return false
	}
	s, ok := d.Call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "crash" && s.Sel.Name == "Exit"
}

// onlyCalls reports whether a body is one call, and tells of what.
func onlyCalls(b *ast.BlockStmt, tell func(name string)) bool {
	if len(b.List) != 1 {
		return false
	}
	e, ok := b.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	c, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := c.Fun.(*ast.SelectorExpr)
	if ok {
		tell(s.Sel.Name)
	}
	return ok
}
