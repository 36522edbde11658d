// Package vaulttest gives a test a Vault of its own.
package vaulttest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/vaultserver"
)

// Vault is a server that ends with its test.
type Vault struct {
	*vaultserver.Server
	t testing.TB
	// Dir is where scripts run: the setup's role and secret ids are there.
	Dir string
}

// Start starts a server and runs a setup script on it. Without the server's
// program the test fails. Only `make mutants` sets OWNKEY_MUTANTS: hundreds of
// runs cannot start a server each, so there the test is skipped.
func Start(t testing.TB, setup string, tls bool) *Vault {
	t.Helper()
	if os.Getenv("OWNKEY_MUTANTS") != "" {
		t.Skip("needs a real Vault, which make mutants does without")
	}
	binary, err := vaultserver.Binary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := vaultserver.Start(context.Background(), vaultserver.Options{Binary: binary, Dir: t.TempDir(), TLS: tls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	v := &Vault{Server: s, t: t, Dir: t.TempDir()}
	v.Script(setup)
	return v
}

// Script runs a shell script as the server's operator.
func (v *Vault) Script(script string) string {
	v.t.Helper()
	out, err := v.Run(context.Background(), v.Dir, script)
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

// File is a file that the setup has made.
func (v *Vault) File(name string) string { return filepath.Join(v.Dir, name) }

// Decrypts counts the decrypt calls in the audit log that were answered.
func (v *Vault) Decrypts() int {
	v.t.Helper()
	b, err := os.ReadFile(v.AuditFile)
	if err != nil {
		v.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `"type":"response"`) && strings.Contains(line, "transit/decrypt/") {
			n++
		}
	}
	return n
}
