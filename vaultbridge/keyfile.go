package vaultbridge

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ownkey/ownkey/internal/secretfile"
)

// keyFileHeader opens a new file, for the person who finds it.
const keyFileHeader = "# Ownkey master key. Whoever has this file and the database has every credential.\n" +
	"# Keep it secret and keep a copy: without it no credential can be opened again.\n" +
	"# One version a line; the highest one seals.\n"

// OpenLocal opens a master key file: lines of "v<version> <32 bytes in
// base64>". Package secretfile says who may be able to read it; anything else is
// ErrKeyFile, with the reason.
func OpenLocal(path string) (*Local, error) {
	content, err := secretfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer clear(content)
	return parseKeys(path, content)
}

// CreateLocal writes a new file with one fresh key, readable by its owner
// only, and opens it. An existing file is never touched.
func CreateLocal(path string) (*Local, error) {
	key := make([]byte, masterKeyBytes)
	_, _ = rand.Read(key) // never fails (crypto/rand, Go 1.24)
	content := []byte(keyFileHeader + "v1 " + base64.StdEncoding.EncodeToString(key) + "\n")
	defer clear(content)
	clear(key)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %s exists already", ErrKeyFile, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	return OpenLocal(path)
}

// syncDir makes a new file's name survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func parseKeys(path string, content []byte) (*Local, error) {
	l := &Local{keys: map[int][]byte{}}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		version, key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%w: %s line %d: %w", ErrKeyFile, path, number, err)
		}
		if l.keys[version] != nil {
			return nil, fmt.Errorf("%w: %s line %d: version %d stands twice", ErrKeyFile, path, number, version)
		}
		l.keys[version] = key
		l.newest = max(l.newest, version)
	}
	if l.newest == 0 {
		return nil, fmt.Errorf("%w: %s holds no key", ErrKeyFile, path)
	}
	return l, nil
}

// parseKey reads "v<version> <base64>". Its errors quote nothing of the line.
func parseKey(line []byte) (version int, key []byte, err error) {
	name, encoded, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(name) < 2 || name[0] != 'v' {
		return 0, nil, errors.New("want: v<version> <base64>")
	}
	version, err = strconv.Atoi(string(name[1:]))
	if err != nil || version < 1 {
		return 0, nil, errors.New("the version is not a positive number")
	}
	key = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(key, bytes.TrimSpace(encoded))
	if err != nil || n != masterKeyBytes {
		return 0, nil, errors.New("the key is not 32 bytes in base64")
	}
	return version, key[:n], nil
}
