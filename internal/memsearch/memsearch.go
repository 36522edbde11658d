// Package memsearch lets a test search the memory of its own process for a
// secret that the process should no longer, or never, have.
package memsearch

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Secret is a text that this process holds turned over only: all bits the
// other way. What is searched for is not there by having it.
type Secret struct{ turned []byte }

// Unseen makes a secret of printable characters and writes it to a file, for
// another process to send it. Base64 gives it as base64 has it.
func Unseen(t *testing.T, file string) Secret {
	t.Helper()
	raw := make([]byte, 36)
	_, _ = rand.Read(raw)
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(raw)))
	base64.RawURLEncoding.Encode(text, raw)
	clear(raw)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	turn(text)
	return Secret{text}
}

// Len is the secret's length.
func (s Secret) Len() int { return len(s.turned) }

// Base64 is the secret in base64.
func (s Secret) Base64() Secret {
	plain := bytes.Clone(s.turned)
	turn(plain)
	encoded := make([]byte, base64.StdEncoding.EncodedLen(len(plain)))
	base64.StdEncoding.Encode(encoded, plain)
	clear(plain)
	turn(encoded)
	return Secret{encoded}
}

func turn(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

// Copies counts where the secret stands the right way up in the writable
// memory of this process.
func (s Secret) Copies(t *testing.T) (found int) {
	t.Helper()
	turned := s.turned
	window, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(window) //nolint:errcheck // the test ends
	mine := fmt.Sprintf("%p", &window[0])[2:]
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close() //nolint:errcheck // it was read
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || strings.HasPrefix(lines.Text(), mine) {
			continue
		}
		step := int64(len(window) - len(turned))
		for ; from < to; from += step {
			n, _ := memory.ReadAt(window[:min(int64(len(window)), to-from)], from)
			found += count(window[:n], turned)
		}
	}
	clear(window)
	return found
}

func count(b, turned []byte) (n int) {
	for i := 0; ; i++ {
		next := bytes.IndexByte(b[i:], ^turned[0])
		if next < 0 || i+next+len(turned) > len(b) {
			return n
		}
		i += next
		same := true
		for j := 1; same && j < len(turned); j++ {
			same = b[i+j] == ^turned[j]
		}
		if same {
			n++
		}
	}
}
