package rooms

import (
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/spent"
)

var update = flag.Bool("update", false, "write docs/inference-path.md anew")

const (
	pathPage  = "../../docs/inference-path.md"
	generated = "<!-- From here on made of the code by `go test ./internal/rooms -update`. -->\n"
)

// TestInferencePathIsCurrent: the page that says who can see a body, and what
// is kept, says what the code does.
func TestInferencePathIsCurrent(t *testing.T) {
	page, err := os.ReadFile(pathPage)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(page), generated)
	if !ok {
		t.Fatal("the page has lost the line that begins its second half")
	}
	want := head + generated + pathOfBodies(t)
	if *update {
		if err := os.WriteFile(pathPage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Error("docs/inference-path.md is not what the code says; run go test ./internal/rooms -update, and read what changed")
	}
}

func pathOfBodies(t *testing.T) string {
	var b strings.Builder
	b.WriteString("\n## Who can name a text\n\nPackages that import `wire` or `memory`, and so can hold a `wire.Text` or a memory. No other can.\n\n| package | imports |\n| --- | --- |\n")
	sees := map[string][]string{}
	for _, line := range goList(t, "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}} {{end}}`, "./...") {
		importer, imported, _ := strings.Cut(line, "=")
		of := strings.TrimPrefix(imported, module)
		if (under(imported, module+"wire") || under(imported, module+"memory")) && !under(importer, module+"benchmarks") && !under(importer, module+"conformance") {
			sees[strings.TrimPrefix(importer, module)] = append(sees[strings.TrimPrefix(importer, module)], "`"+of+"`")
		}
	}
	for _, p := range slices.Sorted(maps.Keys(sees)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p, strings.Join(sees[p], ", "))
	}
	b.WriteString("\n## Where bytes of a body are touched\n\nCalls that take a text out of its handle, or a body out of fasthttp. Lint allows them in these files only.\n\n| file | functions | call |\n| --- | --- | --- |\n")
	b.WriteString(touches(t))
	b.WriteString("\n## What is kept of a request\n\nEvery column of every row that leaves the request path, in the ledger, in SQLite or ClickHouse, and in the log's lines. A name is an\nidentifier of 128 bytes at most (letters, digits, `. _ : / @ + -`), or nothing.\n\n")
	b.WriteString("| row | columns |\n| --- | --- |\n")
	for _, r := range []struct {
		name string
		row  meter.Row
	}{{"request", &meter.Record{}}, {"unseal", &meter.Unseal{}}, {"memory event", &meter.MemoryEvent{}}} {
		fmt.Fprintf(&b, "| %s | %s |\n", r.name, columnsOf(r.row))
	}
	b.WriteString("\n## What lies in the databases\n\nBeside them, ownkey.db holds closed invoices, and usage.db or ClickHouse the rows above with sums of them.\n\n| file | table | columns |\n| --- | --- | --- |\n")
	b.WriteString(tables(t))
	return b.String()
}

// touches lists the calls that lay a text open.
func touches(t *testing.T) string {
	accessors := []string{"Reveal", "RequestBodyStream", "SetBodyStream", "AppendBody", "BodyWriter"}
	found := map[string][]string{}
	for _, file := range productFiles(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				c, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if s, ok := c.Fun.(*ast.SelectorExpr); ok && slices.Contains(accessors, s.Sel.Name) {
					key := name + "|" + s.Sel.Name
					if !slices.Contains(found[key], "`"+f.Name.Name+"`") {
						found[key] = append(found[key], "`"+f.Name.Name+"`")
					}
				}
				return true
			})
		}
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(found)) {
		file, call, _ := strings.Cut(key, "|")
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", file, strings.Join(found[key], ", "), call)
	}
	return b.String()
}

// columnsOf lists a row's columns with their kinds.
func columnsOf(r meter.Row) string {
	l := &columnLister{}
	meter.LedgerColumns(r, l)
	return strings.Join(l.names, ", ")
}

// tables lists the tables of ownkey.db and memory.db.
func tables(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	var b strings.Builder
	for _, file := range []string{"ownkey.db", "memory.db"} {
		database, err := db.Open(ctx, filepath.Join(t.TempDir(), file))
		if err != nil {
			t.Fatal(err)
		}
		if file == "ownkey.db" {
			d, err := directory.Open(ctx, database, directory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
			if _, err := spent.Open(ctx, database, nil); err != nil {
				t.Fatal(err)
			}
		} else if err := database.Migrate(ctx, memory.Migrations(), "memory_migrations"); err != nil {
			t.Fatal(err)
		}
		rows, err := database.Read.Query("SELECT m.name, group_concat(i.name, ', ') FROM sqlite_master m, pragma_table_info(m.name) i" +
			" WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '%migrations' GROUP BY m.name ORDER BY m.name")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var name, columns string
			if err := rows.Scan(&name, &columns); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s |\n", file, name, columns)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
		_ = database.Close()
	}
	return b.String()
}

// columnLister takes the names of columns, with what each can hold.
type columnLister struct{ names []string }

func (l *columnLister) add(name, kind string) { l.names = append(l.names, name+" ("+kind+")") }

func (l *columnLister) UUID(name string, _ *uuid.UUID) { l.add(name, "UUID") }
func (l *columnLister) Time(name string, _ *time.Time) { l.add(name, "time") }
func (l *columnLister) Name(name string, _ *string)    { l.add(name, "name") }
func (l *columnLister) ID(name string, _ *string)      { l.add(name, "id") }
func (l *columnLister) Enum(name string, _ *uint8, all []string) {
	l.add(name, fmt.Sprintf("one of %d words", len(all)))
}
func (l *columnLister) Number(name string, _ *int64)           { l.add(name, "number") }
func (l *columnLister) Count(name string, _ *meter.Count)      { l.add(name, "number or unknown") }
func (l *columnLister) Duration(name string, _ *time.Duration) { l.add(name, "duration") }
func (l *columnLister) Flag(name string, _ *bool)              { l.add(name, "flag") }
