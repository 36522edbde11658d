package deploy_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/vaultserver"
)

// vault is a server with the configuration of compose.yaml, on other paths.
type vault struct {
	t       *testing.T
	binary  string
	dir     string
	address string
	process *exec.Cmd
}

func newVault(t *testing.T) *vault {
	t.Helper()
	binary, err := vaultserver.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{t: t, binary: binary, dir: t.TempDir(), address: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("compose/vault.hcl")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("/vault/file", v.dir+"/file", "0.0.0.0:8200", v.address, "http://vault:8200", "http://"+v.address).Replace(string(text))
	if err := os.WriteFile(filepath.Join(v.dir, "vault.hcl"), []byte(changed+"\ndisable_mlock = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"keys", "identities"} {
		if err := os.Mkdir(filepath.Join(v.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(v.stop)
	return v
}

// start waits until it answers, sealed or not.
func (v *vault) start() {
	v.t.Helper()
	v.process = exec.Command(v.binary, "server", "-config", v.dir+"/vault.hcl")
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", v.address)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			v.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (v *vault) stop() {
	if v.process != nil {
		_ = v.process.Process.Kill()
		_ = v.process.Wait()
		v.process = nil
	}
}

// sh runs a shell's line as vault-setup's container does.
func (v *vault) sh(arguments ...string) string {
	v.t.Helper()
	setup, err := filepath.Abs("vault/setup.sh")
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command("sh", arguments...)
	cmd.Env = []string{
		"PATH=" + filepath.Dir(v.binary) + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + v.dir, "VAULT_ADDR=http://" + v.address,
		"KEYS=" + v.dir + "/keys", "IDENTITIES=" + v.dir + "/identities", "AUDIT_LOG=" + v.dir + "/audit.log", "SETUP=" + setup,
		fmt.Sprintf("OWNER=%d:%d", os.Getuid(), os.Getgid()),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestVaultSetup: on a fresh Vault, on one that runs, and on one that was
// restarted and is sealed; after each the gateway's identity can log in.
func TestVaultSetup(t *testing.T) {
	v := newVault(t)
	if image := readCompose(t).Services["vault"].Image; !strings.Contains(v.sh("-c", "vault version"), "Vault v"+strings.TrimPrefix(image, "hashicorp/vault:")+",") {
		t.Errorf("the image is %s, the test has %s", image, v.sh("-c", "vault version"))
	}
	login := func() {
		t.Helper()
		for _, identity := range []string{"data", "admin"} {
			out := v.sh("-c", `cd "$IDENTITIES" && vault write auth/approle/login role_id=@ownkey-`+identity+`.role-id secret_id=@ownkey-`+identity+`.secret-id`)
			if !strings.Contains(out, "ownkey-"+identity) {
				t.Errorf("%s logs in as\n%s", identity, out)
			}
		}
	}
	v.start()
	for range 2 {
		v.sh("compose/vault-setup.sh")
		login()
	}
	v.stop()
	v.start()
	v.sh("compose/vault-setup.sh")
	login()
	files, err := filepath.Glob(v.dir + "/identities/ownkey-*")
	if err != nil || len(files) != 4 {
		t.Errorf("%v %v", files, err)
	}
	for _, file := range append(files, v.dir+"/keys/init") {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
	if log, err := os.Stat(v.dir + "/audit.log"); err != nil || log.Size() == 0 {
		t.Errorf("no audit log: %v", err)
	}
}
