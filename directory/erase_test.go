package directory

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// holds lists the files below dir that hold a text.
func holds(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			files = append(files, filepath.Base(file))
		}
	}
	return files
}

// TestDeletedCiphertextsAreInNoFile: when a deletion is acknowledged, the
// ciphertext is in no file of the database, its write-ahead log included.
func TestDeletedCiphertextsAreInNoFile(t *testing.T) {
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "ownkey.db"))
	put := func(tenant, sealed string) *Credential {
		t.Helper()
		id, err := d.CredentialID(tenant, "openai", "default")
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.PutCredential(ctx, Credential{
			ID: id, TenantID: tenant, Provider: "openai", Label: "default", Host: "h:443", Keyring: "local", KeyVersion: 1,
			Sealed: sealed, Fingerprint: sealed[:16],
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for what, end := range map[string]func(tenant string, c *Credential) error{
		"credential": func(tenant string, _ *Credential) error { return d.DeleteCredential(ctx, tenant, "openai", "default") },
		"tenant":     func(tenant string, _ *Credential) error { return d.DeleteTenant(ctx, tenant, false) },
		"replaced":   func(_ string, c *Credential) error { return d.ForgetReplaced(ctx, c) },
	} {
		if _, err := d.CreateTenant(ctx, what, ""); err != nil {
			t.Fatal(err)
		}
		old, last := strings.Repeat("old-"+what, 50), strings.Repeat("new-"+what, 50)
		put(what, old)
		c := put(what, last)
		if holds(t, dir, old) == nil || holds(t, dir, last) == nil {
			t.Fatalf("%s: the files do not hold what was stored", what)
		}
		if err := end(what, c); err != nil {
			t.Fatal(err)
		}
		if files := holds(t, dir, old); files != nil {
			t.Errorf("%s: what it was before is in %v", what, files)
		}
		if files := holds(t, dir, last); files != nil && what != "replaced" {
			t.Errorf("%s: the ciphertext is in %v", what, files)
		}
	}
}
