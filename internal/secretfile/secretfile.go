// Package secretfile reads files that hold secrets, and refuses those that
// others could have read or could change.
//
// Kubernetes, Docker and systemd mount secrets in forms of their own: through
// symbolic links, with modes such as 0440 and 0444, owned by root, on mounts
// that are read-only. Nobody but them can set such a mode, so it is taken as it
// is. Where the file is our own to set right, it must be its owner's only.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MaxBytes is far more than a secret needs, and a file of keys or certificates.
const MaxBytes = 64 << 10

// Read gives the content of the file at path, following symbolic links. The
// error names the file and the way out, and quotes nothing of it.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, reason(err))
	}
	defer f.Close() //nolint:errcheck // it was only read
	if err := check(path, f); err != nil {
		return nil, err
	}
	content := make([]byte, MaxBytes+1)
	n, err := io.ReadFull(f, content)
	switch {
	case err == nil:
		clear(content)
		return nil, fmt.Errorf("%s is too large for a secret: more than %d bytes", path, MaxBytes)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		clear(content)
		return nil, fmt.Errorf("cannot read %s: %w", path, reason(err))
	}
	return content[:n:n], nil
}

// reason is an error without the path that it repeats.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// check looks at the file that is open, not at one that could have taken its
// place meanwhile.
func check(path string, f *os.File) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, reason(err))
	}
	a := about{
		regular: s.Mode&unix.S_IFMT == unix.S_IFREG, perm: fs.FileMode(s.Mode) & fs.ModePerm, own: int(s.Uid) == os.Geteuid(),
		// access(2) also says EROFS, to root as well.
		fixed: unix.Access(filepath.Dir(real), unix.W_OK) != nil,
	}
	var mount unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &mount); err == nil {
		a.readOnly = mount.Flags&unix.ST_RDONLY != 0
	}
	switch why := a.refusal(); {
	case why == "":
		return nil
	case !a.regular:
		return fmt.Errorf("%s %s", path, why)
	default:
		return fmt.Errorf("%s %s (mode %04o); run: chmod 600 %s", path, why, a.perm, real)
	}
}

// about is what is known of a file.
type about struct {
	regular  bool
	perm     fs.FileMode
	own      bool // its owner is who we are
	fixed    bool // we cannot put a file into its directory
	readOnly bool // the mount is
}

// refusal says why a file is refused; empty for one that is taken.
func (a *about) refusal() string {
	switch {
	case !a.regular:
		return "is not a regular file"
	case a.readOnly:
		return ""
	case a.perm&0o022 != 0:
		return "can be changed by others"
	case a.own && !a.fixed && a.perm&0o077 != 0:
		return "can be read by others"
	}
	return ""
}
