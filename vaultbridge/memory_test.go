package vaultbridge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPlaintextIsGoneFromMemory unseals a secret that this process has never
// seen, lets its time pass, and searches the whole writable memory of the
// process for it, in plain and in base64.
func TestPlaintextIsGoneFromMemory(t *testing.T) {
	v := startVault(t, false)
	k := v.keyring()
	if err := k.ensureKey(context.Background(), "acme"); err != nil {
		t.Fatal(err)
	}
	plain, encoded := unseen(t, v.File("secret"))
	at := base64.StdEncoding.EncodeToString(testContext.Bytes())
	blob := strings.TrimSpace(v.Script("vault write -field=ciphertext transit/encrypt/ownkey-acme context=" + at + " plaintext=@secret"))
	ring, err := NewRing(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCache(ring, CacheOptions{TTL: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ref := &Ref{Bound: Bound{testContext, blob}, Keyring: "vault", Generation: 1}
	for range 50 {
		l, err := c.Credential(context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		l.Use(func(b []byte) {
			if len(b) != len(plain) {
				t.Errorf("%d bytes", len(b))
			}
		})
		l.Release()
		time.Sleep(10 * time.Millisecond)
	}
	l, err := c.Credential(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if n := search(t, plain); n == 0 {
		t.Error("the search does not find a secret that is leased")
	}
	l.Release()
	time.Sleep(500 * time.Millisecond)
	if n := search(t, plain); n != 0 {
		t.Errorf("%d copies in plain", n)
	}
	if n := search(t, encoded); n != 0 {
		t.Errorf("%d copies in base64", n)
	}
}

// unseen makes a secret, writes it to a file in base64, and keeps both forms
// with all bits turned over: what is searched for is not here.
func unseen(t *testing.T, file string) (plain, encoded []byte) {
	t.Helper()
	secret := make([]byte, 48)
	_, _ = rand.Read(secret)
	text := make([]byte, base64.StdEncoding.EncodedLen(len(secret)))
	base64.StdEncoding.Encode(text, secret)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	turn(secret)
	turn(text)
	return secret, text
}

func turn(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

// search counts where the turned-over needle stands the right way up in the
// writable memory of the process.
func search(t *testing.T, turned []byte) (found int) {
	t.Helper()
	window, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(window)
	mine := fmt.Sprintf("%p", &window[0])[2:]
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
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
