package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// manifest is the first file of an archive.
type manifest struct {
	Format    string    `json:"format"`
	CreatedAt time.Time `json:"created_at"`
	// SHA256 of the database, in hexadecimal.
	SHA256 string `json:"sha256"`
}

const (
	backupFormat = "ownkey-backup-v1"
	manifestFile = "manifest.json"
)

// BackupCmd writes an archive.
type BackupCmd struct {
	Data string `default:"./ownkey-data" type:"existingdir" placeholder:"DIR" help:"Data directory of the gateway, which may be running."`
	File string `arg:"" type:"path" help:"Archive to write (tar.gz). An existing file is never touched."`
}

// Run copies the database as it is at one moment. Nothing else goes into the
// archive: no key file, no role or secret id, no record of a request.
func (c *BackupCmd) Run() error {
	ctx := context.Background()
	dir, err := os.MkdirTemp(filepath.Dir(c.File), ".ownkey-backup-")
	if err != nil {
		return fmt.Errorf("cannot write backup: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a copy of ciphertexts
	source := filepath.Join(c.Data, databaseFile)
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("cannot back up: %w", err)
	}
	snapshot := filepath.Join(dir, databaseFile)
	if err := db.Snapshot(ctx, source, snapshot); err != nil {
		return err
	}
	sum, err := digest(snapshot)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write backup: %w", err)
	}
	err = writeArchive(out, manifest{backupFormat, time.Now().UTC(), sum}, snapshot)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot write backup: %w", err), os.Remove(c.File))
	}
	fmt.Printf("wrote %s: tenants, token digests and sealed credentials. It opens nothing without the keyring that sealed them.\n", c.File)
	return nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read database: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("cannot read database: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func writeArchive(w io.Writer, m manifest, database string) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: manifestFile, Mode: 0o600, Size: int64(len(head)), ModTime: m.CreatedAt}); err != nil {
		return err
	}
	if _, err := archive.Write(head); err != nil {
		return err
	}
	f, err := os.Open(database)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: databaseFile, Mode: 0o600, Size: info.Size(), ModTime: m.CreatedAt}); err != nil {
		return err
	}
	if _, err := io.Copy(archive, f); err != nil {
		return err
	}
	return errors.Join(archive.Close(), zipped.Close())
}

// RestoreCmd brings an archive back.
type RestoreCmd struct {
	Data string `default:"./ownkey-data" type:"path" placeholder:"DIR" help:"Data directory. It must have no database yet."`
	File string `arg:"" type:"existingfile" help:"Archive that ownkey backup wrote."`
}

// maxManifestBytes is far more than a manifest needs.
const maxManifestBytes = 64 << 10

// Run puts the database in place, whole or not at all.
func (c *RestoreCmd) Run() error {
	target := filepath.Join(c.Data, databaseFile)
	for _, name := range []string{target, target + "-wal"} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot restore: %s is there; stop the gateway and move it away first", name)
		}
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	next := target + ".restoring"
	defer os.Remove(next) //nolint:errcheck // gone when all went well
	m, err := extract(c.File, next)
	if err != nil {
		return fmt.Errorf("cannot restore %s: %w", c.File, err)
	}
	if sum, err := digest(next); err != nil || sum != m.SHA256 {
		return errors.Join(fmt.Errorf("cannot restore %s: the database in it is damaged", c.File), err)
	}
	if err := os.Rename(next, target); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	fmt.Printf("restored what was backed up at %s. Tokens that were revoked since then are valid again, and credentials are as they were: "+
		"look through ownkey token list and ownkey credential list. Key versions that were shut since then open again only when their "+
		"transit key's min_decryption_version is lowered (docs/security-audit.md).\n", m.CreatedAt.Format(time.RFC3339))
	return nil
}

// extract writes the archive's database to a file and gives the manifest.
func extract(archive, to string) (m manifest, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return m, err
	}
	defer f.Close() //nolint:errcheck // it was read
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return m, fmt.Errorf("it is not an archive of ownkey backup: %w", err)
	}
	files := tar.NewReader(unzipped)
	if head, err := files.Next(); err != nil || head.Name != manifestFile {
		return m, errors.New("it is not an archive of ownkey backup")
	}
	if err := json.NewDecoder(io.LimitReader(files, maxManifestBytes)).Decode(&m); err != nil || m.Format != backupFormat {
		return m, fmt.Errorf("its format is %q, this program knows %s", m.Format, backupFormat)
	}
	head, err := files.Next()
	if err != nil || head.Name != databaseFile {
		return m, errors.New("it holds no database")
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return m, err
	}
	_, err = io.Copy(out, files) //nolint:gosec // as large as the operator's own database was
	return m, errors.Join(err, out.Sync(), out.Close())
}
