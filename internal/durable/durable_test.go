package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first, and longer", "second"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		info, serr := os.Stat(path)
		if err != nil || serr != nil || string(b) != content || info.Mode().Perm() != 0o600 {
			t.Errorf("%q %v %v %v", b, info.Mode(), err, serr)
		}
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil { // the next content has no place
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("third")); err == nil {
		t.Error("no error")
	}
	if b, _ := os.ReadFile(path); string(b) != "second" {
		t.Errorf("the file is %q after a failure", b)
	}
	if err := WriteFile(filepath.Join(dir, "away", "file"), nil); err == nil {
		t.Error("a directory that is not there")
	}
}
