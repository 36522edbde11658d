// Package archive is the form of a backup: a tar.gz of a manifest, its MAC, and
// the files that the manifest lists, in that order.
//
// The manifest has the size and SHA-256 of each file, and the MAC is over the
// manifest, so that a reader knows whose archive it is before it writes a byte,
// and that each file is whole when it has read it. What is in the files, and
// which key authenticates them, is the caller's.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"time"
)

// Format is that of the archives that this program writes and reads.
const Format = "ownkey-backup-v2"

const (
	manifestName = "manifest.json"
	macName      = "manifest.mac"
	// maxManifestBytes is far more than a manifest of thousands of files needs.
	maxManifestBytes = 4 << 20
)

// Manifest says what an archive holds, and where the rest is.
type Manifest struct {
	Format    string    `json:"format"`
	CreatedAt time.Time `json:"created_at"`
	Program   string    `json:"program"`
	// Keyring is the name of the one that authenticates the archive.
	Keyring string `json:"keyring"`
	Files   []File `json:"files"`
	// Elsewhere are stores that the archive does not hold.
	Elsewhere []Elsewhere `json:"elsewhere,omitempty"`
}

// File is one file of an archive.
type File struct {
	Name   string `json:"name"` // with slashes, below the data directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// Elsewhere names a store of its own, and how far it had been written to.
type Elsewhere struct {
	Store    string `json:"store"`
	Address  string `json:"address"`
	Database string `json:"database"`
	// Installation has claimed it. Archives of earlier programs do not say.
	Installation string `json:"installation,omitempty"`
	// Position is the last batch that was made for it, as it knows it.
	Position string `json:"position"`
}

// What can be wrong with an archive. Test with errors.Is.
var (
	// ErrNoArchive: it is no archive of a backup, or one of another format.
	ErrNoArchive = errors.New("it is not an archive of ownkey backup")
	// ErrForeign: its MAC was not made with this keyring, or it was changed.
	ErrForeign = errors.New("it was not written with this keyring, or was changed since")
	// ErrDamaged: it was cut or changed.
	ErrDamaged = errors.New("it is cut or damaged")
)

// Part is a file to be written. Open is called twice.
type Part struct {
	Name string // with slashes
	Open func() (io.ReadCloser, error)
}

// Describe reads a part for the manifest.
func Describe(p Part) (f File, err error) {
	r, err := p.Open()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	return File{Name: p.Name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// Write writes an archive of parts, which m.Files describes in the same order.
// mac authenticates the manifest.
func Write(w io.Writer, m *Manifest, parts []Part, mac func(manifest []byte) ([]byte, error)) error {
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if len(head) > maxManifestBytes {
		return fmt.Errorf("too many files for one archive: %d", len(m.Files))
	}
	tag, err := mac(head)
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(w)
	files := tar.NewWriter(zipped)
	add := func(name string, size int64, from io.Reader) error {
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.CreatedAt}); err != nil {
			return err
		}
		_, err := io.Copy(files, from)
		return err
	}
	if err := add(manifestName, int64(len(head)), bytes.NewReader(head)); err != nil {
		return err
	}
	text := hex.AppendEncode(nil, tag)
	if err := add(macName, int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	for i, p := range parts {
		from, err := p.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(add(p.Name, m.Files[i].Size, from), from.Close()); err != nil {
			return err
		}
	}
	return errors.Join(files.Close(), zipped.Close())
}

// Reader reads an archive whose manifest is authentic.
type Reader struct {
	Manifest Manifest
	zipped   *gzip.Reader
	files    *tar.Reader
}

// Open reads the manifest and has mac prove it. mac gets the manifest's text
// and what it says, which is not proved yet.
func Open(r io.Reader, mac func(m *Manifest, text []byte) ([]byte, error)) (*Reader, error) {
	a := &Reader{}
	var err error
	if a.zipped, err = gzip.NewReader(r); err != nil {
		return nil, ErrNoArchive
	}
	a.files = tar.NewReader(a.zipped)
	head, err := a.small(manifestName)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(head, &a.Manifest); err != nil {
		return nil, ErrNoArchive
	}
	if a.Manifest.Format != Format {
		return nil, fmt.Errorf("%w: its format is %.40q, and this program knows %s", ErrNoArchive, a.Manifest.Format, Format)
	}
	text, err := a.small(macName)
	if err != nil {
		return nil, err
	}
	want, err := mac(&a.Manifest, head)
	if err != nil {
		return nil, err
	}
	if got, err := hex.DecodeString(string(text)); err != nil || !hmac.Equal(got, want) {
		return nil, ErrForeign
	}
	return a, nil
}

// small reads the next file, which has to be the named one, into memory.
func (a *Reader) small(name string) ([]byte, error) {
	head, err := a.files.Next()
	if err != nil || head.Name != name || head.Size > maxManifestBytes {
		return nil, ErrNoArchive
	}
	b, err := io.ReadAll(a.files)
	if err != nil {
		return nil, ErrDamaged
	}
	return b, nil
}

// Each calls file for every file of the manifest, in its order, which reads r
// to the end. An error is ErrDamaged or what file gave; what was read by then is
// of no use. Without an error the whole archive is as it was written.
func (a *Reader) Each(file func(f File, r io.Reader) error) error {
	for _, f := range a.Manifest.Files {
		if !filepath.IsLocal(f.Name) || path.Clean(f.Name) != f.Name {
			return fmt.Errorf("%w: a file named %q", ErrDamaged, f.Name)
		}
		head, err := a.files.Next()
		if err != nil || head.Name != f.Name || head.Size != f.Size {
			return fmt.Errorf("%w: %s is not where it should be", ErrDamaged, f.Name)
		}
		sum := sha256.New()
		if err := file(f, io.TeeReader(damage{a.files}, sum)); err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
			return fmt.Errorf("%w: %s", ErrDamaged, f.Name)
		}
	}
	if _, err := a.files.Next(); err != io.EOF {
		return fmt.Errorf("%w: something follows the last file", ErrDamaged)
	}
	// gzip's own checksum is at the very end.
	if n, err := io.Copy(io.Discard, a.zipped); err != nil || n > 0 {
		return fmt.Errorf("%w: at its end", ErrDamaged)
	}
	return nil
}

// damage makes an error of reading one of the archive.
type damage struct{ r io.Reader }

// Read reads.
func (d damage) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return n, err
}
