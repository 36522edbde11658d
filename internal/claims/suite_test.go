package claims

import (
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// run is a go test of make test: only what one of them runs can hold a claim.
type run struct {
	dir      string         // the module, as a path from the root
	packages []string       // patterns, as on the command line
	except   string         // the end of the one package that grep -v leaves out
	only     *regexp.Regexp // -run; nil for all
	build    build.Context  // which files it compiles
}

var (
	rules    = regexp.MustCompile(`^([a-z]\w*):([^=#]*)`)
	commands = regexp.MustCompile(`^\t(?:cd (\S+) && )?\$\(GO\) test (.*)`)
	without  = regexp.MustCompile(`\$\$\(\$\(GO\) list \./\.\.\. \| grep -v '([^']*)\$\$'\)`)
)

// suite reads which tests a target of the Makefile runs, by itself and by what
// it depends on.
func suite(makefile, target string) (runs []run) {
	needs, bodies := map[string][]string{}, map[string][]string{}
	rule := ""
	for line := range strings.SplitSeq(makefile, "\n") {
		if m := rules.FindStringSubmatch(line); m != nil {
			rule = m[1]
			needs[rule] = strings.Fields(m[2])
		} else if strings.HasPrefix(line, "\t") {
			bodies[rule] = append(bodies[rule], line)
		} else if strings.TrimSpace(line) != "" {
			rule = ""
		}
	}
	seen := map[string]bool{}
	var walk func(string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, need := range needs[name] {
			walk(need)
		}
		for _, line := range bodies[name] {
			if m := commands.FindStringSubmatch(line); m != nil {
				runs = append(runs, newRun(m[1], m[2]))
			}
		}
	}
	walk(target)
	return runs
}

func newRun(dir, arguments string) run {
	r := run{dir: path.Clean(dir), build: build.Default}
	r.build.GOOS, r.build.GOARCH, r.build.CgoEnabled = "linux", "amd64", true // where make test runs
	r.build.BuildTags = nil
	if m := without.FindStringSubmatch(arguments); m != nil {
		r.except = m[1]
		arguments = strings.Replace(arguments, m[0], "./...", 1)
	}
	words := strings.Fields(arguments)
	for i, word := range words {
		switch {
		case word == "-race":
			r.build.BuildTags = append(r.build.BuildTags, "race")
		case word == "-tags" && i+1 < len(words):
			r.build.BuildTags = append(r.build.BuildTags, strings.Split(words[i+1], ",")...)
		case word == "-run" && i+1 < len(words):
			r.only = regexp.MustCompile(strings.Trim(words[i+1], "'"))
		case strings.HasPrefix(word, "./"):
			r.packages = append(r.packages, word)
		}
	}
	return r
}

// runs reports whether r runs the test of a file, whose path is from the root.
func (r run) runs(file, test string) bool {
	dir, name := path.Split(file)
	dir = path.Clean(dir)
	if module(dir) != r.dir || r.only != nil && !r.only.MatchString(test) {
		return false
	}
	within := "./" + strings.TrimPrefix(strings.TrimPrefix(dir, r.dir), "/")
	if r.except != "" && strings.HasSuffix("/"+dir, r.except) {
		return false
	}
	if !slices.Contains(r.packages, "./...") && !slices.Contains(r.packages, within) {
		return false
	}
	compiled, err := r.build.MatchFile(filepath.Join(root, dir), name)
	return err == nil && compiled
}

// module is the directory of the go.mod that a directory belongs to.
func module(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := os.Stat(filepath.Join(root, dir, "go.mod")); err == nil {
			break
		}
	}
	return dir
}

// existing finds the files of every test that make test runs, by the test's name
// and by its directory and name, and every script that such a test names, by
// its path. A benchmark asserts nothing in make test, nor does a test that only
// another target runs.
func existing(t *testing.T) map[string][]string {
	t.Helper()
	makefile, err := os.ReadFile(root + "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	runs := suite(string(makefile), "test")
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)
	all := map[string][]string{}
	var scripts []string
	running := "" // the text of conformance's tests
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root))
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		switch {
		case strings.HasPrefix(name, "conformance/") && (strings.HasSuffix(name, ".py") || strings.HasSuffix(name, ".mjs")):
			scripts = append(scripts, name)
		case strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			any := false
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "TestMain" || !slices.ContainsFunc(runs, func(r run) bool { return r.runs(name, m[1]) }) {
					continue
				}
				any = true
				all[m[1]] = append(all[m[1]], name)
				full := filepath.ToSlash(filepath.Dir(name)) + "." + m[1]
				all[full] = append(all[full], name)
			}
			if any && strings.HasPrefix(name, "conformance/") {
				running += string(text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		if strings.Contains(running, path.Base(name)) {
			all[name] = []string{name}
		}
	}
	return all
}

// TestOnlyWhatMakeTestRunsCounts: a test behind a build tag that make test does
// not set, in a package or module that it leaves out, or that its -run passes
// over, holds no claim; nor does a benchmark.
func TestOnlyWhatMakeTestRunsCounts(t *testing.T) {
	tests := existing(t)
	for name, file := range map[string]string{
		"TestOfficialSDKs":                  "conformance/conformance_test.go",
		"TestOneTenantNeverReachesAnother":  "internal/hostile/hostile_test.go", // excepted, and named by a second line
		"TestAllocsPerRelayedChunk":         "gateway/alloc_test.go",            // !race, for the line without -race
		"FuzzIdentifier":                    "",
		"TestAgents":                        "-",
		"TestMain":                          "-",
		"BenchmarkHeaders":                  "-",
		"internal/tools/licences.TestJudge": "internal/tools/licences/main_test.go",
	} {
		if files := tests[name]; file == "-" && len(files) > 0 || file != "-" && len(files) != 1 || file != "" && file != "-" && files[0] != file {
			t.Errorf("%s: %v, want %q", name, files, file)
		}
	}
	const makefile = "G ?= go\ntest: check $(TOOL) ## All.\n\t$(GO) test $(TESTFLAGS) -race $$($(GO) list ./... | grep -v '/conformance$$')\n" +
		"\t$(GO) test ./gateway -run 'Alloc'\n\nagents:\n\t$(GO) test -tags agents ./conformance\n\ncheck: lint\n\tcd internal/tools/licences && $(GO) test ./...\n"
	for _, c := range []struct {
		target, file, test string
		want               bool
	}{
		{"test", "internal/claims/suite_test.go", "TestAny", true},
		{"test", "conformance/conformance_test.go", "TestOfficialSDKs", false},
		{"test", "conformance/agents_test.go", "TestAgents", false},
		{"agents", "conformance/agents_test.go", "TestAgents", true},
		{"test", "gateway/alloc_test.go", "TestAllocsPerRelayedChunk", true},
		{"test", "gateway/alloc_test.go", "TestOther", false},
		{"test", "wire/alloc_test.go", "TestAllocs", false},
		{"test", "internal/tools/licences/main_test.go", "TestAny", true},
		{"test", "internal/tools/vulncheck/main_test.go", "TestAny", false},
		{"check", "internal/claims/suite_test.go", "TestAny", false},
	} {
		got := slices.ContainsFunc(suite(makefile, c.target), func(r run) bool { return r.runs(c.file, c.test) })
		if got != c.want {
			t.Errorf("make %s runs %s of %s: %v, want %v", c.target, c.test, c.file, got, c.want)
		}
	}
}

// TestMakeTestIsWhatTheReadmeSays: lint, every test of this module with the race
// detector (those that cannot have it, without), and the SDKs of Python, Node
// and Go; and make hostile lets the attack go on for a minute.
func TestMakeTestIsWhatTheReadmeSays(t *testing.T) {
	text, err := os.ReadFile(root + "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	runs := suite(string(text), "test")
	tests := existing(t)
	var raced, bare int
	for name, files := range tests {
		if strings.Contains(name, ".") || strings.Contains(name, "/") {
			continue
		}
		for _, file := range files {
			if module(path.Dir(file)) != "." {
				continue // a tool's
			}
			if slices.ContainsFunc(runs, func(r run) bool { return slices.Contains(r.build.BuildTags, "race") && r.runs(file, name) }) {
				raced++
			} else if bare++; path.Base(file) != "alloc_test.go" {
				t.Errorf("%s of %s runs without the race detector", name, file)
			}
		}
	}
	if raced < 500 || bare == 0 {
		t.Errorf("%d tests with the race detector, %d without", raced, bare)
	}
	for _, want := range []string{"test: check ", "check: $(LINT) licences vulncheck ", "\t$(LINT) run ./...\n", "hostile: ", "\tOWNKEY_HOSTILE_TIME=1m $(GO) test "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Makefile has no %q", want)
		}
	}
	for _, script := range []string{"conformance/python/openai_suite.py", "conformance/python/anthropic_suite.py", "conformance/node/openai.mjs", "conformance/node/anthropic.mjs"} {
		if len(tests[script]) != 1 {
			t.Errorf("no test that make test runs names %s", script)
		}
	}
}
