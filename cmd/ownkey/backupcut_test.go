package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBackupThatIsCutShort: whoever ends a backup, and whatever reads its output
// goes, no copy of a store stays behind, and no half archive. What a kill leaves
// in the middle of copying, the next backup removes.
func TestBackupThatIsCutShort(t *testing.T) {
	p := start(t, "dev", "--data", filepath.Join(t.TempDir(), "data"))
	data := p.cmd.Args[3]
	long := make([]byte, 48<<20) // it takes a while to write, and does not compress
	_, _ = rand.Read(long)
	aside := filepath.Join(data, ledgerDir, "quarantine", "long.bin")
	if err := errors.Join(os.MkdirAll(filepath.Dir(aside), 0o700), os.WriteFile(aside, long, 0o600)); err != nil {
		t.Fatal(err)
	}
	nothing := func(dirs ...string) {
		t.Helper()
		for _, dir := range dirs {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), scratchPrefix) || strings.HasSuffix(e.Name(), ".tar.gz") {
					t.Errorf("%s stays in %s", e.Name(), dir)
				}
			}
		}
	}
	// backup waits until the archive is being written.
	backup := func(to string, out *os.File) *exec.Cmd {
		t.Helper()
		cmd := exec.Command(binary, "backup", "--data", data, to)
		var progress bytes.Buffer
		said, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		cmd.Stdout, cmd.Stderr = out, w
		if err := errors.Join(cmd.Start(), w.Close()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		for b := make([]byte, 4096); !strings.Contains(progress.String(), "writing the archive"); {
			n, err := said.Read(b)
			if progress.Write(b[:n]); err != nil {
				t.Fatalf("%v %s", err, &progress)
			}
		}
		return cmd
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := backup("-", w)
	_ = r.Close()
	if cmd.Wait() == nil {
		t.Error("a backup whose output nobody reads is a success")
	}
	nothing(data)

	if r, w, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd = backup("-", w) // and nobody reads
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a backup that was stopped is a success")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a backup whose output waits can not be stopped")
	}
	nothing(data)

	dir := t.TempDir()
	cmd = backup(filepath.Join(dir, "archive.tar.gz"), nil)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Error("a backup that was stopped is a success")
	}
	nothing(data, dir)

	left := filepath.Join(dir, scratchPrefix+"killed")
	if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, memoryFile), long, 0o600)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "whole")
	p.want("", "backup", "--data", data, file)
	nothing(data, dir)
}
