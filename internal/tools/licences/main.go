// Licences reads the licence of every module that is linked into the program,
// and of every one that go.mod names, and fails if one is missing, is not
// permissive, or is not what docs/dependencies.md says.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

const (
	mpl = "MPL-2.0"
	// least is how many percent of a licence file have to be text of a
	// licence; the rest are names and years of copyright.
	least = 75
)

// permissive are the licences whose terms a notice fulfils.
var permissive = []string{"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"}

// known are files beside a licence that no list of licences has.
var known = map[string]struct{ start, what string }{
	"modernc.org/sqlite/LICENSE-SQLITE": {"SQLite Is Public Domain\n", "the C code that was translated is in the public domain"},
	// Notices under section 4(d) of Apache-2.0: names to pass on, no terms.
	"github.com/prometheus/client_golang/NOTICE": {"Prometheus instrumentation library for Go applications\nCopyright", "attribution"},
	"github.com/prometheus/client_model/NOTICE":  {"Data model artifacts for Prometheus.\nCopyright", "attribution"},
	"github.com/prometheus/common/NOTICE":        {"Common libraries shared by Prometheus Go components.\nCopyright", "attribution"},
	"github.com/prometheus/procfs/NOTICE":        {"procfs provides functions to retrieve system, kernel and process\nmetrics", "attribution"},

	"modernc.org/memory/LICENSE-LOGO": {"https://commons.wikimedia.org/wiki/File:Memory_infra_logo.png", "a picture in its README, which is not linked"},
}

// names are those of files with terms. LICENSE-3RD-PARTY is left out: it
// repeats the licences of the modules that a module imports or tests with,
// and those that are linked are read themselves.
var names = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)`)

var thirdParty = regexp.MustCompile(`(?i)3rd-?party`)

// module is what go list says of one.
type module struct {
	Path, Version, Dir string
	Main, Indirect     bool
	Replace            *struct{ Path string }
}

func main() {
	docs := flag.String("docs", "docs/dependencies.md", "the `file` that lists direct dependencies and what is under "+mpl)
	program := flag.String("program", "./cmd/ownkey", "the `package` that is linked")
	flag.Parse()
	if err := run(*docs, *program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(docs, program string) error {
	text, err := os.ReadFile(docs)
	if err != nil {
		return err
	}
	linked, err := list[struct{ Module module }]("list", "-deps", "-json=Module", program)
	if err != nil {
		return err
	}
	var modules []module
	for _, p := range linked {
		if p.Module.Path != "" { // else of the standard library
			modules = append(modules, p.Module)
		}
	}
	// What go.mod names and only tests or benchmarks use has a licence, too.
	named, err := list[module]("list", "-m", "-json", "all")
	if err != nil {
		return err
	}
	named = slices.DeleteFunc(named, func(m module) bool { return m.Indirect || m.Main })
	if err := download(named); err != nil {
		return err
	}
	documented := table(string(text))
	count := map[string]int{}
	seen := map[string]bool{}
	var wrong []error
	for _, m := range append(modules, named...) {
		if m.Main || seen[m.Path] {
			continue
		}
		seen[m.Path] = true
		licence, err := read(m.Path, m.Dir)
		if err == nil {
			err = judge(m, licence, string(text), documented)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("licences: %s %s: %w", m.Path, m.Version, err))
			continue
		}
		count[licence]++
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	var sum []string
	for licence, n := range count {
		sum = append(sum, fmt.Sprintf("%d %s", n, licence))
	}
	slices.Sort(sum)
	fmt.Printf("licences: %d modules: %s\n", len(seen), strings.Join(sum, ", "))
	return nil
}

// download fills in the folders of modules that the module cache does not hold
// yet: listing the program's packages fetches only what the program links.
func download(modules []module) error {
	var missing []string
	for _, m := range modules {
		if m.Dir == "" {
			missing = append(missing, m.Path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fetched, err := list[module](append([]string{"mod", "download", "-json"}, missing...)...)
	if err != nil {
		return err
	}
	for i := range modules {
		for _, f := range fetched {
			if f.Path == modules[i].Path {
				modules[i].Dir = f.Dir
			}
		}
	}
	return nil
}

// judge says whether a module may be linked, and whether the docs say so.
func judge(m module, licence, docs string, documented map[string]string) error {
	if slices.Contains(strings.Split(licence, " and "), mpl) {
		switch {
		case !strings.HasPrefix(m.Path, "github.com/hashicorp/"):
			return errors.New(mpl + " is allowed for HashiCorp's modules only")
		case m.Replace != nil:
			return fmt.Errorf("%s is replaced by %s: a modified module under %s has to be published", m.Path, m.Replace.Path, mpl)
		case !strings.Contains(docs, "`"+m.Path+"`"):
			return errors.New("is under " + mpl + ", and docs/dependencies.md does not name it")
		}
	}
	if want, ok := documented[m.Path]; ok && want != licence {
		return fmt.Errorf("is under %s; docs/dependencies.md says %s", licence, want)
	}
	return nil
}

// read gives the licences in a module's root, all of which are allowed.
func read(path, dir string) (string, error) {
	if dir == "" {
		return "", errors.New("is not in the module cache: go mod download")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, e := range entries {
		if !e.Type().IsRegular() || !names.MatchString(e.Name()) || thirdParty.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		if k, ok := known[path+"/"+e.Name()]; ok && strings.HasPrefix(string(text), k.start) {
			continue
		}
		of, err := identify(text)
		if err != nil {
			return "", fmt.Errorf("%s %w", e.Name(), err)
		}
		for _, id := range of {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return "", errors.New("has no licence file")
	}
	slices.Sort(ids)
	return strings.Join(ids, " and "), nil
}

// identify names the licences in a text, if it is made of allowed ones.
func identify(text []byte) (ids []string, err error) {
	found := licensecheck.Scan(text)
	for _, m := range found.Match {
		if m.ID != mpl && !slices.Contains(permissive, m.ID) {
			return nil, fmt.Errorf("has %s, which is not allowed", m.ID)
		}
		ids = append(ids, m.ID)
	}
	if found.Percent < least {
		return nil, fmt.Errorf("is known to %.0f%% only", found.Percent)
	}
	return ids, nil
}

var row = regexp.MustCompile("(?m)^\\| *`([^`]+)` *\\|([^|]*)\\|")

// table gives the second column of the docs' tables by their first.
func table(markdown string) map[string]string {
	all := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(markdown, -1) {
		all[m[1]] = strings.TrimSpace(m[2])
	}
	return all
}

// list gives what a go command prints as JSON.
func list[T any](args ...string) (all []T, err error) {
	cmd := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // the arguments are those above
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m T
		switch err := d.Decode(&m); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, m)
	}
}
