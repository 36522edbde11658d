package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func mac(key string) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) {
		sum := sha256.Sum256(append([]byte(key), text...))
		return sum[:], nil
	}
}

func written(t *testing.T, key string, files ...string) []byte {
	t.Helper()
	m := &Manifest{Format: Format, CreatedAt: time.Unix(1, 0).UTC(), Keyring: "local"}
	var parts []Part
	for i, content := range files {
		p := Part{Name: "ledger/" + string(rune('a'+i)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
		f, err := Describe(p)
		if err != nil {
			t.Fatal(err)
		}
		parts, m.Files = append(parts, p), append(m.Files, f)
	}
	var b bytes.Buffer
	if err := Write(&b, m, parts, mac(key)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte, key string) (got []string, err error) {
	a, err := Open(bytes.NewReader(b), func(_ *Manifest, text []byte) ([]byte, error) { return mac(key)(text) })
	if err != nil {
		return nil, err
	}
	err = a.Each(func(_ File, r io.Reader) error {
		b, err := io.ReadAll(r)
		got = append(got, string(b))
		return err
	})
	return got, err
}

func TestArchiveComesBack(t *testing.T) {
	got, err := read(written(t, "k", "one", "", "three"), "k")
	if err != nil || strings.Join(got, ",") != "one,,three" {
		t.Errorf("%q %v", got, err)
	}
}

// TestNothingButTheWholeArchiveIsTaken cuts an archive at every byte, changes
// every byte, and takes it with another key.
func TestNothingButTheWholeArchiveIsTaken(t *testing.T) {
	whole := written(t, "k", strings.Repeat("some content ", 50), "more")
	if _, err := read(whole, "another"); !errors.Is(err, ErrForeign) {
		t.Errorf("another key: %v", err)
	}
	for n := range whole {
		if _, err := read(whole[:n], "k"); err == nil {
			t.Fatalf("cut after %d of %d bytes it is taken", n, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[n] ^= 0x10
		got, err := read(changed, "k")
		if err == nil && strings.Join(got, "") != strings.Repeat("some content ", 50)+"more" { // gzip's header has bytes that mean nothing
			t.Fatalf("with byte %d changed it is taken as %q", n, got)
		}
	}
	if _, err := read(append(bytes.Clone(whole), written(t, "k", "x")...), "k"); !errors.Is(err, ErrDamaged) {
		t.Errorf("something behind it: %v", err)
	}
}
