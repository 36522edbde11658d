package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/vaultserver"
)

// TestSecurityAuditAsWritten pastes every command of docs/security-audit.md
// into one shell, beside `ownkey dev --vault`, and wants to read what the page
// says ("#=> text", in order).
func TestSecurityAuditAsWritten(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/security-audit.md")
	if err != nil {
		t.Fatal(err)
	}
	vaultBinary, err := vaultserver.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := start(t, "dev", "--data", filepath.Join(dir, "audit-data"), "--vault", vaultBinary)
	exported := regexp.MustCompile(`export (VAULT_ADDR=\S+) (VAULT_TOKEN=\S+)`).FindStringSubmatch(p.stderr.String())
	if exported == nil {
		t.Fatalf("no address of Vault on stderr: %s", p.stderr.String())
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	fails := regexp.MustCompile("(?m)^! (.*)$") // the shell's own "!" is none of what set -e looks at
	script := "set -eu\n"
	for i, b := range blocks {
		script += fmt.Sprintf("echo @@@%d@\n%s", i, fails.ReplaceAllString(b[1], "if $1; then exit 9; fi"))
	}
	shell := exec.Command("sh")
	shell.Dir, shell.Stdin = dir, strings.NewReader(script)
	shell.Env = append(os.Environ(), exported[1], exported[2], "OWNKEY_ADMIN_URL="+p.ready.AdminURL, "OWNKEY_ADMIN_TOKEN="+p.ready.AdminToken,
		"DATA=./audit-data", "BASE="+p.ready.BaseURL, "PATH="+filepath.Dir(binary)+":"+filepath.Dir(vaultBinary)+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("the page's commands ended with %v", err)
	}
	for i, b := range blocks {
		_, said, _ := strings.Cut(string(out), fmt.Sprintf("@@@%d@\n", i))
		said, _, _ = strings.Cut(said, "@@@")
		rest := said
		for _, want := range regexp.MustCompile("(?m)^#=> (.*)$").FindAllStringSubmatch(b[1], -1) {
			_, after, found := strings.Cut(rest, want[1])
			if !found {
				t.Errorf("block %d did not say %q, but\n%s", i+1, want[1], said)
				continue
			}
			rest = after
		}
	}
	p.stop()
}
