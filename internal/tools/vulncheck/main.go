// Vulncheck runs govulncheck on the program, and keeps two things apart that
// one exit code mixes: that the database knows no vulnerability, and that the
// database could not be asked.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/vuln/scan"
)

const public = "https://vuln.go.dev"

// check is one run.
type check struct {
	db       string
	must     bool     // the database was named, so it has to answer
	accepted []string // ids that docs/dependencies.md gives a reason for
	dir      string
	packages []string
	out      io.Writer
}

func main() {
	db := flag.String("db", "", "the vulnerability database (`URL`, https:// or file://), which then has to answer; without it "+public+" is asked")
	docs := flag.String("accepted", "docs/dependencies.md", "the `file` that lists what is accepted, and why")
	flag.Parse()
	c := check{db: *db, must: *db != "", dir: ".", packages: flag.Args(), out: os.Stdout}
	if !c.must {
		c.db = public
	}
	text, err := os.ReadFile(*docs)
	if err == nil {
		c.accepted = accepted(string(text))
		err = c.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

var row = regexp.MustCompile(`(?m)^\| *(GO-\d{4}-\d+) *\|`)

// accepted gives the ids that begin a row of a table.
func accepted(markdown string) (ids []string) {
	for _, m := range row.FindAllStringSubmatch(markdown, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// finding is what govulncheck says of one way to a vulnerability.
type finding struct {
	OSV          string `json:"osv"`
	FixedVersion string `json:"fixed_version"`
	Trace        []struct{ Module, Version, Package, Function string }
}

func (c check) run(ctx context.Context) error {
	modified, err := c.ask(ctx)
	if err != nil {
		if c.must {
			return fmt.Errorf("the vulnerability database %s: %w", c.db, err)
		}
		c.say("NOT CHECKED: the vulnerability database %s could not be asked (%v).\n"+
			"vulncheck: whether a dependency has a known vulnerability is not known; `make vulncheck VULNDB=URL` asks a copy.\n", c.db, err)
		return nil
	}
	findings, err := c.scan(ctx)
	if err != nil {
		return err
	}
	called, uncalled := map[string]string{}, map[string]string{}
	for _, f := range findings {
		at := f.Trace[0]
		fixed := "no version fixes it yet"
		if f.FixedVersion != "" {
			fixed = "fixed in " + f.FixedVersion
		}
		text := fmt.Sprintf("%s in %s %s (%s)", f.OSV, at.Module, at.Version, fixed)
		if at.Function != "" {
			called[f.OSV] = fmt.Sprintf("%s: %s.%s is called", text, at.Package, at.Function)
		} else {
			uncalled[f.OSV] = text
		}
	}
	var wrong []error
	for _, id := range slices.Sorted(maps.Keys(called)) {
		if slices.Contains(c.accepted, id) {
			c.say("accepted: %s\n", called[id])
		} else {
			wrong = append(wrong, errors.New(called[id]))
		}
		delete(uncalled, id)
	}
	for _, id := range slices.Sorted(maps.Keys(uncalled)) {
		c.say("not called: %s\n", uncalled[id])
	}
	for _, id := range c.accepted {
		if called[id] == "" {
			wrong = append(wrong, fmt.Errorf("%s is listed as accepted, and is not called: take it from the list", id))
		}
	}
	if len(wrong) == 0 {
		c.say("no vulnerability that is called and not accepted; database %s of %s\n", c.db, modified.UTC().Format(time.DateOnly))
	}
	return errors.Join(wrong...)
}

func (c check) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, "vulncheck: "+format, args...)
}

// ask gives the time of the database's newest entry, if it answers.
func (c check) ask(ctx context.Context) (time.Time, error) {
	var index struct{ Modified time.Time }
	data, err := c.get(ctx, "/index/db.json")
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	return index.Modified, err
}

func (c check) get(ctx context.Context, path string) ([]byte, error) {
	u, err := url.Parse(c.db)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return os.ReadFile(filepath.FromSlash(u.Path + path))
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.db, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

func (c check) scan(ctx context.Context) ([]finding, error) {
	var out, said bytes.Buffer
	cmd := scan.Command(ctx, append([]string{"-C", c.dir, "-db", c.db, "-format", "json"}, c.packages...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Start()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("govulncheck: %w %s", err, said.String())
	}
	var all []finding
	for d := json.NewDecoder(&out); ; {
		var m struct{ Finding *finding }
		switch err := d.Decode(&m); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("govulncheck's answer: %w", err)
		case m.Finding != nil && len(m.Finding.Trace) > 0:
			all = append(all, *m.Finding)
		}
	}
}
