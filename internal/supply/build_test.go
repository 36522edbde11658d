package supply

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// copyTree copies what git would commit, as it is now, and lends the copy the
// tools that are built already.
func copyTree(t *testing.T, to string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
	tools, err := filepath.Abs(root + "/.tools")
	if err == nil {
		err = os.Symlink(tools, filepath.Join(to, ".tools"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copyFile keeps the time, by which make knows that a tool is not older than
// its go.mod.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil // removed, and not committed yet; or a link to .tools
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, info.Mode()), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// makeSBOM builds the program and its bill of materials.
func makeSBOM(t *testing.T, dir string) (program, bill []byte) {
	t.Helper()
	copyTree(t, dir)
	cmd := exec.Command("make", "sbom", "COMMIT="+commit)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make sbom: %v\n%s", err, out)
	}
	program, err = os.ReadFile(filepath.Join(dir, "ownkey"))
	if err != nil {
		t.Fatal(err)
	}
	bill, err = os.ReadFile(filepath.Join(dir, "ownkey.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	return program, bill
}

// TestBuild makes the program twice, in two folders, and looks at what came
// out.
func TestBuild(t *testing.T) {
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "another", "folder")}
	program, bill := makeSBOM(t, dirs[0])

	t.Run("is reproducible", func(t *testing.T) {
		again, billAgain := makeSBOM(t, dirs[1])
		a, b := sha256.Sum256(program), sha256.Sum256(again)
		t.Logf("%x, %d bytes", a, len(program))
		if a != b {
			t.Errorf("two builds differ: %x, %x", a, b)
		}
		if !bytes.Equal(bill, billAgain) {
			t.Error("two bills of materials differ")
		}
	})
	t.Run("names no folder of the builder", func(t *testing.T) {
		env, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range append(dirs, strings.Fields(string(env))...) {
			if bytes.Contains(program, []byte(dir)) {
				t.Errorf("it contains %s", dir)
			}
		}
	})
	path := filepath.Join(dirs[0], "ownkey")
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("is made without cgo", func(t *testing.T) {
		for key, want := range map[string]string{"CGO_ENABLED": "0", "-trimpath": "true"} {
			got := ""
			for _, s := range info.Settings {
				if s.Key == key {
					got = s.Value
				}
			}
			if got != want {
				t.Errorf("%s=%s, want %s", key, got, want)
			}
		}
	})
	t.Run("is static", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			return // other systems have no static programs
		}
		file, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("it has a %s", p.Type)
			}
		}
	})
	t.Run("says what it is made from", func(t *testing.T) {
		out, err := exec.Command(path, "version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), commit) {
			t.Errorf("ownkey version: %s %v", out, err)
		}
	})
	t.Run("has every module on its bill", func(t *testing.T) {
		var b struct {
			BOMFormat  string `json:"bomFormat"`
			Components []struct{ Name, Version string }
			Metadata   struct {
				Component struct{ Name, Version string }
			}
		}
		if err := json.Unmarshal(bill, &b); err != nil {
			t.Fatal(err)
		}
		if b.BOMFormat != "CycloneDX" || b.Metadata.Component.Version != commit {
			t.Errorf("%s of %+v", b.BOMFormat, b.Metadata.Component)
		}
		listed := map[string]string{}
		for _, c := range b.Components {
			listed[c.Name] = c.Version
		}
		if len(info.Deps) == 0 || len(listed) != len(info.Deps)+1 {
			t.Errorf("%d modules and the standard library are linked, %d are listed", len(info.Deps), len(listed))
		}
		for _, m := range info.Deps {
			if listed[m.Path] != m.Version {
				t.Errorf("%s %s is linked, %q is listed", m.Path, m.Version, listed[m.Path])
			}
		}
		if listed["std"] != info.GoVersion {
			t.Errorf("%s is linked, %q is listed", info.GoVersion, listed["std"])
		}
	})
}
