package supply

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// goJSON decodes what a go command prints, for the platform of the image.
func goJSON[T any](t *testing.T, args ...string) (all []T) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v T
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, v)
	}
}

// row is one of docs/dependencies.md: module, licence, pure Go, reason. The
// licence is compared with the module's own by internal/tools/licences.
var row = regexp.MustCompile("(?m)^\\| *`([^`]+)` *\\| *([^|]*?) *\\| *([^|]*?) *\\| *([^|]*?) *\\|$")

// TestDirectDependenciesAreDocumented: the table has a row for each module that
// go.mod requires itself, and for no other.
func TestDirectDependenciesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	pure := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		if _, twice := pure[m[1]]; twice {
			t.Errorf("%s has two rows", m[1])
		}
		if m[2] == "" || m[4] == "" {
			t.Errorf("%s has no licence or no reason", m[1])
		}
		pure[m[1]] = m[3]
	}
	type mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	written := writtenIn(t)
	file := goJSON[mod](t, "mod", "edit", "-json")[0]
	for _, m := range file.Require {
		if m.Indirect {
			continue
		}
		got, ok := pure[m.Path]
		delete(pure, m.Path)
		if want := written[m.Path].String(); !ok {
			t.Errorf("go.mod requires %s, docs/dependencies.md does not list it", m.Path)
		} else if got != want {
			t.Errorf("%s is pure Go: %s; docs/dependencies.md says %q", m.Path, want, got)
		}
	}
	for path := range pure {
		t.Errorf("docs/dependencies.md lists %s, go.mod does not require it", path)
	}
	for _, r := range file.Replace {
		t.Errorf("go.mod replaces %s: what is linked has to be what its author published", r.Old.Path)
	}
}

// languages are those that the packages of a module are written in beside Go.
type languages struct{ c, assembly bool }

func (l languages) String() string {
	switch {
	case l.c:
		return "no"
	case l.assembly:
		return "with assembly"
	}
	return "yes"
}

type listed struct {
	ImportPath string
	Module     struct{ Path string }
	// Files that are not Go. CgoFiles are those that import "C".
	CgoFiles, CFiles, CXXFiles, MFiles, FFiles, SwigFiles, SwigCXXFiles, SysoFiles, SFiles []string
}

func (p listed) languages() languages {
	return languages{
		c:        len(p.CgoFiles)+len(p.CFiles)+len(p.CXXFiles)+len(p.MFiles)+len(p.FFiles)+len(p.SwigFiles)+len(p.SwigCXXFiles)+len(p.SysoFiles) > 0,
		assembly: len(p.SFiles) > 0,
	}
}

const fields = "-json=ImportPath,Module,CgoFiles,CFiles,CXXFiles,MFiles,FFiles,SwigFiles,SwigCXXFiles,SysoFiles,SFiles"

// writtenIn says it of each module, over the packages that this one uses.
func writtenIn(t *testing.T) map[string]languages {
	t.Helper()
	all := map[string]languages{}
	for _, p := range goJSON[listed](t, "list", "-deps", "-test", fields, "./...") {
		l, m := p.languages(), all[p.Module.Path]
		all[p.Module.Path] = languages{c: l.c || m.c, assembly: l.assembly || m.assembly}
	}
	return all
}

// TestNothingLinkedWantsCgo: with cgo allowed, too, no package outside of the
// standard library would be built with it.
func TestNothingLinkedWantsCgo(t *testing.T) {
	linked := goJSON[listed](t, "list", "-deps", fields, "./cmd/ownkey")
	if len(linked) == 0 {
		t.Fatal("nothing is linked")
	}
	for _, p := range linked {
		if p.Module.Path != "" && p.languages().c {
			t.Errorf("%s of %s has code that is not Go: %+v", p.ImportPath, p.Module.Path, p)
		}
	}
}

// TestToolsArePinned: a tool that is installed has a go.mod and a go.sum, and
// nothing is run at a version that its name does not say.
func TestToolsArePinned(t *testing.T) {
	text, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if at := regexp.MustCompile(`@(latest|master|main|upgrade)\b|go(\)|) install\b`).Find(text); at != nil {
		t.Errorf("Makefile has %q: a tool's version is in internal/tools", at)
	}
	dirs, err := os.ReadDir(root + "/internal/tools")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		for _, file := range []string{"go.mod", "go.sum"} {
			if _, err := os.Stat(root + "/internal/tools/" + d.Name() + "/" + file); err != nil {
				t.Error(err)
			}
		}
		if !strings.Contains(string(text), "internal/tools/"+d.Name()+"/go.mod") {
			t.Errorf("Makefile builds nothing from internal/tools/%s", d.Name())
		}
	}
}

// TestPrerequisitesAreDocumented: README names the Go of go.mod, every package
// that `make test` asks apt-get for, and the platform of the engine in the
// lock file.
func TestPrerequisitesAreDocumented(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(root + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme := strings.ToLower(read("README.md"))
	_, tests, _ := strings.Cut(readme, "## test it")
	tests, _, _ = strings.Cut(tests, "\n## ")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read("go.mod"))
	packages := regexp.MustCompile(`apt-get install -y \S+ --no-install-recommends ([a-z0-9 -]+);`).FindStringSubmatch(read("Makefile"))
	if version == nil || packages == nil {
		t.Fatal("go.mod has no version, or Makefile no packages")
	}
	wanted := []string{"go " + version[1], "python 3.11", "node 20", "make", "c compiler", "linux"}
	for p := range strings.FieldsSeq(packages[1]) {
		wanted = append(wanted, strings.TrimSuffix(p, "-light"))
	}
	for _, w := range wanted {
		if !strings.Contains(tests, w) {
			t.Errorf("README.md, \"Test it\", does not name %s", w)
		}
	}
	if !strings.Contains(tests, "amd64") || !strings.Contains(read("internal/tools/chdb/npm/package-lock.json"), "linux-x64") {
		t.Error("the platform of the tests is not the one of the ClickHouse engine")
	}
}
