package rooms

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// accessors are fasthttp's ways to a body.
var accessors = []string{
	"PostBody", "Body", "BodyUncompressed", "BodyWriteTo", "RequestBodyStream", "BodyStream", "SetBody", "AppendBody", "SetBodyStream", "SetBodyRaw",
}

// TestBodiesAreOpenedInTheirRooms: the bytes of a wire.Text are had in wire and
// memory only, those of fasthttp's requests and responses in gateway/body.go and
// gateway/front only. Lint says the same, with the types.
func TestBodiesAreOpenedInTheirRooms(t *testing.T) {
	revealed, taken := 0, 0
	for _, file := range productFiles(t) {
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.ToSlash(file)
		within := func(rooms ...string) bool {
			return slices.ContainsFunc(rooms, func(room string) bool { return strings.Contains(path, "/"+room) })
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch at := fset.Position(s.Pos()); {
			case s.Sel.Name == "Reveal":
				if revealed++; !within("wire/", "memory/") {
					t.Errorf("%s reveals a text", at)
				}
			case slices.Contains(accessors, s.Sel.Name) && ofFasthttp(s.X):
				if taken++; !within("gateway/body.go", "gateway/front/") {
					t.Errorf("%s takes a body from fasthttp", at)
				}
			}
			return true
		})
	}
	if revealed < 5 || taken < 5 {
		t.Errorf("found %d texts that are revealed, %d bodies that are taken", revealed, taken)
	}
	lint, err := os.ReadFile("../../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n    - forbidigo\n", `'^wire\.Text\.Reveal$'`, "(" + strings.Join([]string{"PostBody", "Body", "BodyUncompressed"}, "|"), "- path: gateway/(body\\.go|front/)\n        linters: [forbidigo]",
		"- path: (wire|memory)/\n        linters: [forbidigo]\n        text: memory only",
	} {
		if !strings.Contains(string(lint), want) {
			t.Errorf(".golangci.yml has no %q", want)
		}
	}
}

// ofFasthttp reports whether an expression is a request context of fasthttp, or
// its request or response, by the names that the code gives them.
func ofFasthttp(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "ctx" || x.Name == "fctx"
	case *ast.SelectorExpr:
		return x.Sel.Name == "ctx" || (x.Sel.Name == "Request" || x.Sel.Name == "Response") && ofFasthttp(x.X)
	}
	return false
}
