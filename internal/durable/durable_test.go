package durable

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
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

func TestSync(t *testing.T) {
	if q, err := take(); err != nil {
		t.Errorf("this kernel takes no operations: only what stands in for them is tested: %v", err)
	} else {
		q.give(nil)
	}
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 { // more at once than queues are kept
		all.Go(func() {
			for range 20 {
				if _, err := f.WriteAt([]byte("content"), int64(i)); err != nil {
					t.Error(err)
				}
				if err := errors.Join(Sync(f), SyncData(f)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	_ = f.Close()
	if err := Sync(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		t.Errorf("a directory: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if Sync(r) == nil || SyncData(w) == nil {
		t.Error("a pipe can not be on the disk")
	}
}
