// Mutants runs gremlins on packages, with the tests that are fast, and prints
// how many of its changes the tests noticed.
//
// The changes are made in a copy of the module that has neither .git nor
// .tools, so no test of a run can start a server that was built there.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// withoutVault makes tests that need a real Vault skip themselves: see
// internal/vaultserver/vaulttest. Only this program sets it.
const withoutVault = "OWNKEY_MUTANTS"

// untouched are the files of a package that are not changed, as a regular
// expression on the name: only a real Vault can judge them.
var untouched = map[string]string{
	"./vaultbridge": `^(client|doctor|keyfile|login|meters|policy|session|transit)\.go$`,
}

// slow are the tests that are left out: they take seconds, and what they hold
// is how time or memory grows, or what another test of the package holds too.
var slow = map[string][]string{
	"./wire":          {"TestOtherModelsIsLinear", "TestParsersAreLinear"},
	"./directory":     {"TestFirstLoadIsLinear"},
	"./meter/invoice": {"TestProgramInTheDocsAgrees"},
}

// run is one run over some packages.
type run struct {
	gremlins string // its program
	goTool   string // the real go command
	dir      string // the copy of the module
	bin      string // holds this program under the name of go
	limit    time.Duration
}

func main() {
	if filepath.Base(os.Args[0]) == "go" {
		os.Exit(test(os.Getenv(realGo), os.Args[1:], os.Stdout))
	}
	gremlins := flag.String("gremlins", ".tools/gremlins", "the `program`")
	least := flag.Float64("least", 90, "fail below this efficacy in any package, in `percent`")
	limit := flag.Duration("limit", 0, "how `long` the tests of a package may take with a change; 0 is six times as long as without, and 20 s at least")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutants(ctx, *gremlins, *least, *limit, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// mutants prints the table also if a package fails or the run is interrupted.
func mutants(ctx context.Context, gremlins string, least float64, limit time.Duration, packages []string) error {
	r := run{limit: limit}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.prepare(ctx, dir, gremlins); err != nil {
		return err
	}
	var rows []row
	var failures []error
	for _, p := range packages {
		fmt.Println("==", p)
		counted, err := r.one(ctx, p)
		if err == nil {
			rows = append(rows, counted)
			err = counted.below(least)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Print("\n", table(rows))
	return errors.Join(failures...)
}

// prepare copies what git knows of the module, and puts this program before
// the go command.
func (r *run) prepare(ctx context.Context, dir, gremlins string) (err error) {
	r.dir, r.bin = filepath.Join(dir, "module"), filepath.Join(dir, "bin")
	if r.gremlins, err = filepath.Abs(gremlins); err != nil {
		return err
	}
	if r.goTool, err = exec.LookPath("go"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.bin, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(self, filepath.Join(r.bin, "go")); err != nil {
		return err
	}
	files, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		if err := copyFile(name, filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// copyFile leaves out what git knows and the directory does not have.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o700) // scripts have to run
}

// one changes one package. It fails if the tests do without a change.
func (r *run) one(ctx context.Context, pkg string) (row, error) {
	flags := []string{"-trimpath", "-vet=off", "-count=1", "-ldflags=-s", os.Getenv("GOFLAGS")} // a third less to do for each change
	if names := slow[pkg]; names != nil {
		expression := "^(" + strings.Join(names, "|") + ")$"
		if err := r.exist(ctx, pkg, expression, names); err != nil {
			return row{}, err
		}
		flags = append(flags, "-skip="+expression)
	}
	env := append(os.Environ(), "GOFLAGS="+strings.Join(flags, " "), withoutVault+"=1")
	limit, err := r.cover(ctx, pkg, env)
	if err != nil {
		return row{}, err
	}
	report := filepath.Join(r.bin, "report.json")
	_ = os.Remove(report)
	args := []string{
		"unleash", pkg, "--workers", "1", "--timeout-coefficient", fmt.Sprint(int(limit / coverTime)),
		"--output-statuses", "lct", "--output", report,
	}
	if files := untouched[pkg]; files != "" {
		args = append(args, "--exclude-files", files)
	}
	c := exec.CommandContext(ctx, r.gremlins, args...)
	c.Dir, c.Stdout, c.Stderr = r.dir, os.Stdout, os.Stderr
	c.Env = append(env, realGo+"="+r.goTool, profile+"="+r.profile(), "PATH="+r.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := c.Run(); err != nil {
		return row{}, fmt.Errorf("gremlins: %w", err)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		return row{}, fmt.Errorf("gremlins wrote no report: %w", err)
	}
	return count(pkg, b)
}

func (r *run) profile() string { return filepath.Join(r.bin, "coverage") }

// cover runs the tests without a change, which they have to pass, and writes
// which code they reach. It gives how long they may take with a change.
func (r *run) cover(ctx context.Context, pkg string, env []string) (limit time.Duration, err error) {
	var began time.Time
	for _, args := range [][]string{{"-run", "^$"}, nil} { // the first one compiles
		c := exec.CommandContext(ctx, r.goTool, append(append([]string{"test", "-coverprofile", r.profile()}, args...), pkg+"/...")...)
		c.Dir, c.Env, began = r.dir, env, time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("without a change: go test: %w\n%s", err, out)
		}
	}
	took := time.Since(began)
	if limit = r.limit; limit == 0 {
		limit = max(20*time.Second, 6*took)
	}
	fmt.Printf("without a change the tests take %.1f s; with one they may take %.0f s\n", took.Seconds(), limit.Seconds())
	return limit, nil
}

// exist fails if a name on the list of slow tests is of no test: nobody would
// notice that it is left out no more.
func (r *run) exist(ctx context.Context, pkg, expression string, names []string) error {
	c := exec.CommandContext(ctx, r.goTool, "test", "-list", expression, pkg)
	c.Dir = r.dir
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("go test -list: %w", err)
	}
	listed := strings.Fields(string(out))
	for _, n := range names {
		if !slices.Contains(listed, n) {
			return fmt.Errorf("no test is called %s, which the list of slow tests has", n)
		}
	}
	return nil
}

// row is what became of the changes of one package.
type row struct {
	pkg                                           string
	killed, lived, timedOut, notCovered, notBuilt int
}

// count reads a report of gremlins, by its single changes: its own sums have
// no number of those that timed out.
func count(pkg string, report []byte) (row, error) {
	var read struct {
		Files []struct {
			Mutations []struct{ Status string }
		}
	}
	if err := json.Unmarshal(report, &read); err != nil {
		return row{}, fmt.Errorf("gremlins' report: %w", err)
	}
	r := row{pkg: pkg}
	for _, f := range read.Files {
		for _, m := range f.Mutations {
			switch m.Status {
			case "KILLED":
				r.killed++
			case "LIVED":
				r.lived++
			case "TIMED OUT":
				r.timedOut++
			case "NOT COVERED":
				r.notCovered++
			case "NOT VIABLE":
				r.notBuilt++
			default:
				return row{}, fmt.Errorf("gremlins' report has the status %q", m.Status)
			}
		}
	}
	return r, nil
}

// efficacy is the share of the changes that tests noticed, in percent. What
// timed out, was not covered or did not build is left out.
func (r row) efficacy() float64 {
	if r.killed == 0 {
		return 0
	}
	return 100 * float64(r.killed) / float64(r.killed+r.lived)
}

func (r row) below(least float64) error {
	if got := r.efficacy(); got < least {
		return fmt.Errorf("the efficacy is %.1f %%, less than %g %%", got, least)
	}
	return nil
}

// table is in Markdown, as the README has it.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| package | killed | lived | timed out | not covered | not built | efficacy |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %.1f %% |\n",
			strings.TrimPrefix(r.pkg, "./"), r.killed, r.lived, r.timedOut, r.notCovered, r.notBuilt, r.efficacy())
	}
	return b.String()
}
