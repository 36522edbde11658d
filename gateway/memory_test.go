package gateway_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/memsearch"
	"github.com/ownkey/ownkey/upstream"
	"github.com/ownkey/ownkey/vaultbridge"
)

// startProvider runs the fake provider in another process, so that what it
// reads is not in ours.
func startProvider(t *testing.T) (url string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "fakeprovider")
	if out, err := exec.Command("go", "build", "-o", binary, "../internal/fakeprovider/cmd/fakeprovider").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	cmd := exec.Command(binary, "-listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// TestSecretLeavesNothingInMemory lets a secret that this process has never
// seen go its whole way, from Vault to a provider, for unary calls and streams,
// and searches the process's memory for it when its time is over.
func TestSecretLeavesNothingInMemory(t *testing.T) {
	provider := startProvider(t)
	h, v := newVaultHouse(t, cacheFor(500*time.Millisecond, 0), func(o *options) { o.provider = provider })
	secret := memsearch.Unseen(t, v.File("secret"))
	id, err := h.directory.CredentialID("acme", "main", "unseen")
	if err != nil {
		t.Fatal(err)
	}
	at := vaultbridge.Context{Tenant: "acme", CredentialID: id, Provider: "main", Address: upstream.Address(h.bases["main"])}
	blob := v.Script("vault write -field=ciphertext transit/encrypt/ownkey-acme context=" + base64.StdEncoding.EncodeToString(at.Bytes()) + " plaintext=$(base64 -w0 secret)")
	_, err = h.directory.PutCredential(context.Background(), directory.Credential{
		ID: id, TenantID: "acme", Provider: "main", Label: "unseen", Host: upstream.HostPort(h.bases["main"]), Address: at.Address, Keyring: "vault", Sealed: strings.TrimSpace(blob), KeyVersion: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if a := h.chat("gpt-4o", "Ownkey-Credential", "unseen"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a := h.do("POST", "/v1/chat/completions", chatBody("gpt-4o", true), "Ownkey-Credential", "unseen"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if secret.Copies(t) == 0 {
		t.Error("the search does not find a secret that is cached")
	}
	// A stream that is open does not keep it either.
	conn, r := h.dial(strings.Replace(h.raw("/v1/chat/completions", chatBody("fake:chunks=100,gap=100ms", true)), "Host: x\r\n", "Host: x\r\nOwnkey-Credential: unseen\r\n", 1))
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	time.Sleep(time.Second)
	if n := secret.Copies(t); n != 0 {
		t.Errorf("%d copies in plain", n)
	}
	if n := secret.Base64().Copies(t); n != 0 {
		t.Errorf("%d copies in base64", n)
	}
	_ = conn.Close()
}
