package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatDoesNotBuildIsNotNoticed: the real go command has one exit code for
// both.
func TestWhatDoesNotBuildIsNotNoticed(t *testing.T) {
	for code, want := range map[string]int{
		"func TestX(t *testing.T) {}":                               0,
		"func TestX(t *testing.T) { t.Fatal() }":                    failed,
		"func TestX(t *testing.T) { t.Fatal(`[build failed]`) }":    failed,
		"func TestX(t *testing.T) { return 1 }":                     notBuilt,
		"import _ `nothing/of/this/name`\nfunc TestX(*testing.T){}": notBuilt,
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"go.mod": "module x\n", "x_test.go": "package x\nimport `testing`\n" + code,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := test("go", []string{"-C", dir, "test", "."}, io.Discard); got != want {
			t.Errorf("%s: exit code %d, want %d", code, got, want)
		}
	}
}

func TestReportIsCounted(t *testing.T) {
	r, err := count("./some/package", []byte(`{"test_efficacy":12,"files":[
		{"file_name":"a.go","mutations":[{"status":"KILLED"},{"status":"KILLED"},{"status":"LIVED"},{"status":"NOT VIABLE"}]},
		{"file_name":"b.go","mutations":[{"status":"KILLED"},{"status":"TIMED OUT"},{"status":"TIMED OUT"},{"status":"NOT COVERED"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "| package | killed | lived | timed out | not covered | not built | efficacy |\n| --- | --- | --- | --- | --- | --- | --- |\n" +
		"| some/package | 3 | 1 | 2 | 1 | 1 | 75.0 % |\n"
	if got := table([]row{r}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if r.below(75) != nil || r.below(75.1) == nil || (row{lived: 1}).below(1) == nil {
		t.Error("the least efficacy is not held")
	}
	if _, err := count("", []byte(`{"files":[{"mutations":[{"status":"RUNNABLE"}]}]}`)); err == nil {
		t.Error("a change that was not tried counts as nothing")
	}
	if _, err := count("", []byte(`{`)); err == nil {
		t.Error("a report that is cut was read")
	}
}
