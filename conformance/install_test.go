package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// toolsDir is where SDKs are installed: outside version control, and kept from
// run to run.
const toolsDir = "../.tools/conformance"

// installed gives a folder that install has filled once. Its name holds a
// digest of the lock file and of the interpreter, so a change of either makes
// a new one.
func installed(t *testing.T, interpreter, lock string, install func(dir string)) string {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), interpreter, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("cannot run %s, which the suites need: %v", interpreter, err)
	}
	locked, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(version, locked...))
	dir, err := filepath.Abs(filepath.Join(toolsDir, filepath.Base(interpreter)+"-"+hex.EncodeToString(sum[:6])))
	if err != nil {
		t.Fatal(err)
	}
	complete := filepath.Join(dir, ".complete")
	_, err = os.Stat(complete)
	if err == nil {
		return dir
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	install(dir)
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// installPython gives an interpreter that has the locked packages.
func installPython(t *testing.T) string {
	t.Helper()
	dir := installed(t, "python3", "python/requirements.txt", func(dir string) {
		run(t, ".", "python3", "-m", "venv", dir)
		run(t, ".", filepath.Join(dir, "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
			"-r", "python/requirements.txt")
	})
	return filepath.Join(dir, "bin/python")
}

// installNode gives a folder that has the locked packages and, as modules are
// looked up beside the script, the scripts.
func installNode(t *testing.T) string {
	t.Helper()
	dir := installed(t, "node", "node/package-lock.json", func(dir string) {
		for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
			copyFile(t, filepath.Join("node", name), dir)
		}
		run(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	for _, pattern := range []string{"node/*.mjs", "quickstart/*.mjs"} {
		scripts, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range scripts {
			copyFile(t, script, dir)
		}
	}
	return dir
}

func copyFile(t *testing.T, path, dir string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// buildGo gives the Go SDK's suite: a module of its own, so that the gateway's
// does not depend on an SDK.
func buildGo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openai-go")
	run(t, "go", "go", "build", "-o", path, ".")
	return path
}
