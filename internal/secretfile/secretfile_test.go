package secretfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhoSetTheMode: a mode is judged by who could have set another one.
func TestWhoSetTheMode(t *testing.T) {
	ours := func(perm fs.FileMode) about { return about{regular: true, own: true, perm: perm} }
	theirs := func(perm fs.FileMode) about { return about{regular: true, fixed: true, perm: perm} }
	mounted := func(a about) about { a.readOnly, a.fixed = true, true; return a }
	for _, c := range []struct {
		what  string
		file  about
		taken bool
	}{
		{"our own, 0600", ours(0o600), true},
		{"our own, 0400", ours(0o400), true},
		{"our own, group may read", ours(0o640), false},
		{"our own, group may read, nobody writes", ours(0o440), false},
		{"our own, all may read", ours(0o644), false},
		{"our own, all may read, nobody writes", ours(0o444), false},
		{"our own, group may write", ours(0o620), false},
		{"our own, all may write", ours(0o602), false},
		{"our own, executable for others", ours(0o611), false},
		{"our own, in a directory that is not", about{regular: true, own: true, fixed: true, perm: 0o440}, true},
		{"root's, 0400, which we can read as its group", theirs(0o440), true},
		{"root's, for its group: systemd, Debian's ssl-cert", theirs(0o640), true},
		{"root's, for all", theirs(0o444), true},
		{"root's, but others may write", theirs(0o646), false},
		{"root's, but its group may write", theirs(0o660), false},
		{"root's in a directory that we may write", about{regular: true, perm: 0o444}, true},
		{"Kubernetes, default mode", mounted(theirs(0o644)), true},
		{"Kubernetes, fsGroup", mounted(theirs(0o440)), true},
		{"Kubernetes, as root", mounted(ours(0o644)), true},
		{"Kubernetes, any mode", mounted(ours(0o777)), true},
		{"Docker", mounted(theirs(0o444)), true},
		{"a directory", about{perm: 0o700, own: true}, false},
		{"a directory on a mount", mounted(about{perm: 0o400}), false},
	} {
		if why := c.file.refusal(); (why == "") != c.taken {
			t.Errorf("%s (%04o): %q, want taken: %v", c.what, c.file.perm, why, c.taken)
		}
	}
}

// TestReadFollowsLinks: as Kubernetes puts them, a link to a file in a directory
// that is a link.
func TestReadFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	version := filepath.Join(dir, "..2026_11_27")
	check(os.Mkdir(version, 0o700))
	check(os.WriteFile(filepath.Join(version, "secret-id"), []byte("s3cret\n"), 0o400))
	check(os.Symlink("..2026_11_27", filepath.Join(dir, "..data")))
	link := filepath.Join(dir, "secret-id")
	check(os.Symlink(filepath.Join("..data", "secret-id"), link))
	if b, err := Read(link); err != nil || string(b) != "s3cret\n" {
		t.Errorf("%q, %v", b, err)
	}
	check(os.Chmod(filepath.Join(version, "secret-id"), 0o644))
	_, err := Read(link)
	if err == nil || !strings.Contains(err.Error(), "mode 0644") || !strings.Contains(err.Error(), "chmod 600 "+filepath.Join(version, "secret-id")) {
		t.Errorf("a link does not hide the mode of our own file: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	large, fine, empty := filepath.Join(dir, "large"), filepath.Join(dir, "fine"), filepath.Join(dir, "empty")
	for file, size := range map[string]int{large: MaxBytes + 1, fine: MaxBytes, empty: 0} {
		if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "is not a regular file", large: "too large", "/dev/null": "is not a regular file",
	} {
		if _, err := Read(file); err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), file) != 1 {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	for file, size := range map[string]int{fine: MaxBytes, empty: 0} {
		if b, err := Read(file); err != nil || len(b) != size {
			t.Errorf("%s: %d bytes, %v", file, len(b), err)
		}
	}
}
