package vaultbridge

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var testContext = Context{Tenant: "acme", CredentialID: "cred_1", Provider: "openai", Address: "https://api.openai.com:443/v1"}

func newLocal(t *testing.T) (*Local, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	l, err := CreateLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func opened(t *testing.T, l *Local, c Context, blob string) string {
	t.Helper()
	credential, err := l.Unseal(context.Background(), Bound{Context: c, Blob: blob})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	credential.Use(func(secret []byte) { got = string(secret) })
	return got
}

func seal(t *testing.T, l *Local, c Context, secret string) Sealed {
	t.Helper()
	s, err := l.Seal(context.Background(), c, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBlobIsTheDocumentedConstruction opens a blob with nothing but the
// standard library.
func TestBlobIsTheDocumentedConstruction(t *testing.T) {
	l, path := newLocal(t)
	blob := seal(t, l, testContext, "sk-test").Blob
	encoded, ok := strings.CutPrefix(blob, "ownkey:v1:")
	if !ok {
		t.Fatalf("blob begins with %.12s", blob)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 12+len("sk-test")+16 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(file), "\nv1 ")
	master, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	info := "ownkey-context-v2\x00\x00\x00\x04acme\x00\x00\x00\x06cred_1\x00\x00\x00\x06openai\x00\x00\x00\x1dhttps://api.openai.com:443/v1"
	key, _ := hkdf.Key(sha256.New, master, nil, info, 32)
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCM(block)
	plain, err := aead.Open(nil, raw[:12], raw[12:], nil)
	if err != nil || string(plain) != "sk-test" {
		t.Errorf("got %q, %v", plain, err)
	}
}

func TestBlobOpensOnlyInItsContext(t *testing.T) {
	l, _ := newLocal(t)
	blob := seal(t, l, testContext, "sk-test").Blob
	if got := opened(t, l, testContext, blob); got != "sk-test" {
		t.Fatalf("got %q", got)
	}
	f := func(name string, c Context, blob string) {
		t.Helper()
		if _, err := l.Unseal(context.Background(), Bound{Context: c, Blob: blob}); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%s: got %v, want ErrUnsealable", name, err)
		}
	}
	changed := func(change func(*Context)) Context { c := testContext; change(&c); return c }
	f("another tenant", changed(func(c *Context) { c.Tenant = "other" }), blob)
	f("another credential", changed(func(c *Context) { c.CredentialID = "cred_2" }), blob)
	f("another provider", changed(func(c *Context) { c.Provider = "groq" }), blob)
	f("another host", changed(func(c *Context) { c.Address = "https://evil.example:443/v1" }), blob)
	f("another scheme", changed(func(c *Context) { c.Address = "http://api.openai.com:443/v1" }), blob)
	f("another port", changed(func(c *Context) { c.Address = "https://api.openai.com:8443/v1" }), blob)
	f("another path", changed(func(c *Context) { c.Address = "https://api.openai.com:443/v2" }), blob)
	f("a host alone", changed(func(c *Context) { c.Address = "api.openai.com:443" }), blob)
	f("parts that run together", Context{Tenant: "acmecred_1", Provider: "openai", Address: "https://api.openai.com:443/v1"}, blob)
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(blob, "ownkey:v1:"))
	for _, at := range []int{0, 12, len(raw) - 1} { // nonce, ciphertext, tag
		raw[at] ^= 1
		f("a flipped bit", testContext, "ownkey:v1:"+base64.StdEncoding.EncodeToString(raw))
		raw[at] ^= 1
	}
	f("an unknown version", testContext, strings.Replace(blob, ":v1:", ":v2:", 1))
	f("no version", testContext, "ownkey:v:AAAA")
	f("not base64", testContext, "ownkey:v1:***")
	f("too short", testContext, "ownkey:v1:AAAA")
	f("empty", testContext, "")
	f("Vault's", testContext, strings.Replace(blob, "ownkey", "vault", 1))
	if again := seal(t, l, testContext, "sk-test").Blob; again == blob {
		t.Error("two seals gave the same blob: the nonce is not fresh")
	}
}

func TestNewVersionSealsAndOldOpens(t *testing.T) {
	l, path := newLocal(t)
	before := seal(t, l, testContext, "sk-test")
	fingerprint := l.fingerprint(testContext, []byte("sk-test"))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("v7 " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	l, err = OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	after := seal(t, l, testContext, "sk-test")
	if before.KeyVersion != 1 || after.KeyVersion != 7 || !strings.HasPrefix(after.Blob, "ownkey:v7:") {
		t.Errorf("versions %d, %d", before.KeyVersion, after.KeyVersion)
	}
	if opened(t, l, testContext, before.Blob) != "sk-test" || opened(t, l, testContext, after.Blob) != "sk-test" {
		t.Error("a version does not open")
	}
	if l.fingerprint(testContext, []byte("sk-test")) != fingerprint {
		t.Error("the fingerprint changed with the key")
	}
}

func TestFingerprintAndDeriveAreSeparate(t *testing.T) {
	l, _ := newLocal(t)
	other, _ := newLocal(t)
	a := l.fingerprint(testContext, []byte("sk-1"))
	if len(a) != 16 || a == l.fingerprint(testContext, []byte("sk-2")) || a == other.fingerprint(testContext, []byte("sk-1")) ||
		a == l.fingerprint(Context{Tenant: "x", Provider: "openai"}, []byte("sk-1")) {
		t.Error("fingerprints do not tell secrets, tenants or key files apart")
	}
	if moved := testContext; a != l.fingerprint(Context{Tenant: moved.Tenant, Provider: moved.Provider}, []byte("sk-1")) {
		t.Error("the same secret of a tenant and provider has two fingerprints")
	}
	again := string(l.Derive("a", 40))
	if again == string(l.Derive("b", 40)) || again != string(l.Derive("a", 40)) {
		t.Error("derived bytes do not follow their purpose")
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	good := "v1 " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	f := func(name, content string, mode os.FileMode, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenLocal(path)
		if !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: the error quotes the file", name)
		}
	}
	f("group can read", good, 0o640, "chmod 600")
	f("others can read", good, 0o604, "chmod 600")
	f("empty", "# nothing\n", 0o600, "no key")
	f("twice", good+good, 0o600, "twice")
	f("short key", "v1 c2VjcmV0\n", 0o600, "line 1: the key is not 32 bytes")
	f("no version", "c2VjcmV0\n", 0o600, "line 1: want")
	f("version zero", strings.Replace(good, "v1", "v0", 1), 0o600, "positive")
	dir := t.TempDir()
	if _, err := OpenLocal(dir); !errors.Is(err, ErrKeyFile) {
		t.Errorf("directory: got %v", err)
	}
	if _, err := OpenLocal(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: got %v", err)
	}
	_, path := newLocal(t)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLocal(link); err != nil { // as Kubernetes mounts one
		t.Errorf("link: got %v", err)
	}
	if _, err := CreateLocal(path); !errors.Is(err, ErrKeyFile) {
		t.Errorf("existing file was overwritten: %v", err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
}
