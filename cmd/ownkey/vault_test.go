package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/ownkey/ownkey/vaultbridge"
)

const (
	goodKey = "sk-good+key/with=signs"
	nextKey = "sk-next-0123456789"
	badKey  = "sk-refused-by-the-provider"
)

// site is a gateway in production's way, on a real Vault that was set up with
// what `ownkey vault policy` prints.
type site struct {
	*process
	vault    *vaulttest.Vault
	provider *fakeprovider.Server
	dir      string
	log      string // file
	keyring  string // one more line of the configuration's keyring
}

func newSite(t *testing.T) *site {
	t.Helper()
	setup, err := exec.Command(binary, "vault", "policy").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{vault: vaulttest.Start(t, string(setup), false), dir: t.TempDir()}
	if s.provider, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{goodKey, nextKey}, Journal: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.provider.Close() })
	s.serve(t, filepath.Join(s.dir, "data"))
	return s
}

// configure writes the configuration for a data directory.
func (s *site) configure(t *testing.T, data string) (config string) {
	t.Helper()
	config = data + ".yaml"
	text := fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: '127.0.0.1:0', token: '${OWNKEY_ADMIN_TOKEN}'}
data: %s
keyring:
  cache_ttl: 1s
  %s
  vault:
    address: %s
    data: {method: approle, role_id_file: %s, secret_id_file: %s}
    admin: {method: approle, role_id_file: %s, secret_id_file: %s}
providers:
  openai: {base_url: '%s'}
`, data, s.keyring, s.vault.URL, s.vault.File("ownkey-data.role-id"), s.vault.File("ownkey-data.secret-id"),
		s.vault.File("ownkey-admin.role-id"), s.vault.File("ownkey-admin.secret-id"), s.provider.URL())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// serve starts the gateway on a data directory.
func (s *site) serve(t *testing.T, data string) {
	t.Helper()
	config := s.configure(t, data)
	s.log = filepath.Join(s.dir, fmt.Sprint("log-", time.Now().UnixNano()))
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	// The shell allows cores of any size that it may allow.
	s.process = &process{t: t, cmd: exec.Command("sh", "-c", `ulimit -c "$(ulimit -H -c)"; exec "$0" "$@"`, binary, "serve", "--config", config)}
	s.cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN=oka_test_0123456789", "GOTRACEBACK=crash")
	s.cmd.Dir = s.dir
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := s.cmd
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = log.Close() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(s.log)
		for line := range bytes.Lines(b) {
			var l struct {
				Message     string
				Listen      string
				AdminListen string `json:"admin_listen"`
			}
			if json.Unmarshal(line, &l) == nil && l.Message == "serving" {
				s.ready = readiness{BaseURL: "http://" + l.Listen + "/v1", AdminURL: "http://" + l.AdminListen, AdminToken: "oka_test_0123456789"}
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("not serving: %s", b)
		}
	}
}

// tenant makes a tenant with a credential, and gives a token.
func (s *site) tenant(id, key string) string {
	s.t.Helper()
	s.want("", "tenant", "create", id)
	s.want(key, "credential", "put", "--tenant", id, "--provider", "openai")
	return strings.TrimSpace(s.want("", "token", "create", "--tenant", id))
}

func (s *site) chats(token string, status int, code string) {
	s.t.Helper()
	if got, body := s.chat(token, "gpt-4o", "Hello"); got != status || !strings.Contains(body, code) {
		s.t.Fatalf("%d %s, want %d %s", got, body, status, code)
	}
}

// fails runs a verb that must fail, for a reason.
func (s *site) fails(stdin, reason string, args ...string) {
	s.t.Helper()
	if out, status := s.verb(stdin, args...); status == 0 || !strings.Contains(out, reason) {
		s.t.Errorf("ownkey %s: %d %s, want %q", strings.Join(args, " "), status, out, reason)
	}
}

func TestLifeOfAKeyInVault(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	token := s.tenant("acme", goodKey)
	s.chats(token, 200, "Hello from")
	if out := s.want("", "doctor"); strings.Contains(out, "FAIL") || !strings.Contains(out, "data identity: can do its work and no more") {
		t.Errorf("doctor: %s", out)
	}

	if out := s.want("", "rotate", "--tenant", "acme"); !strings.Contains(out, "version 2") {
		t.Errorf("rotate: %s", out)
	}
	s.chats(token, 200, "Hello from")
	if out := s.want("", "rewrap", "--tenant", "acme"); !strings.Contains(out, "done: tenant 1 of 1, 1 credentials rewrapped, 0 failed") {
		t.Errorf("rewrap: %s", out)
	}
	s.chats(token, 200, "Hello from")
	key := "transit/keys/" + s.row("acme").Key
	if out := s.vault.Script("vault read -field=min_decryption_version " + key); strings.TrimSpace(out) != "2" {
		t.Errorf("min_decryption_version is %s", out)
	}

	// A replacement that the provider refuses changes nothing; one that was not
	// tried can be taken back at once; one that is proven can not.
	put := []string{"credential", "put", "--tenant", "acme", "--provider", "openai"}
	name := []string{"--tenant", "acme", "--provider", "openai"}
	s.fails(badKey, "credential_refused", append(put, "--test")...)
	s.chats(token, 200, "Hello from")
	s.fails("", "nothing_to_roll_back", append([]string{"credential", "rollback"}, name...)...)
	s.want(badKey, put...)
	s.chats(token, 401, "")
	s.want("", append([]string{"credential", "rollback"}, name...)...)
	s.chats(token, 200, "Hello from")
	s.want(nextKey, append(put, "--test")...)
	s.want("", append([]string{"credential", "test"}, name...)...)
	s.fails("", "nothing_to_roll_back", append([]string{"credential", "rollback"}, name...)...)
	s.chats(token, 200, "Hello from")

	archive := filepath.Join(s.dir, "backup.tar.gz")
	s.want("", "backup", "--config", s.configure(t, filepath.Join(s.dir, "data")), archive)
	s.fails("", "exists", "backup", "--config", s.configure(t, filepath.Join(s.dir, "data")), archive)
	s.fails("", "move what is in", "restore", "--config", s.configure(t, filepath.Join(s.dir, "data")), archive)
	s.want("", "tenant", "delete", "acme", "--shred", "--yes")
	s.chats(token, 401, "invalid_token")
	if out, err := s.vault.Run(t.Context(), s.dir, "vault read "+key); err == nil {
		t.Errorf("the key is still there: %s", out)
	}
	s.stop()

	// The backup from before brings the rows back, and they are dead.
	restored := filepath.Join(s.dir, "restored")
	s.want("", "restore", "--config", s.configure(t, restored), archive)
	s.serve(t, restored)
	s.chats(token, 412, "credential_unusable")
	s.stop()
}

func TestRestoredBackupNeedsVault(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	token := s.tenant("acme", goodKey)
	archive := filepath.Join(s.dir, "backup.tar.gz")
	key := "transit/keys/" + s.row("acme").Key
	s.want("", "backup", "--config", s.configure(t, filepath.Join(s.dir, "data")), archive)
	s.stop()
	s.want("", "restore", "--config", s.configure(t, filepath.Join(s.dir, "again")), archive)
	s.serve(t, filepath.Join(s.dir, "again"))
	s.chats(token, 200, "Hello from")
	s.stop()
	s.want("", "restore", "--config", s.configure(t, filepath.Join(s.dir, "without")), archive)
	if err := s.vault.Kill(); err != nil {
		t.Fatal(err)
	}
	s.serve(t, filepath.Join(s.dir, "without"))
	s.chats(token, 503, "vault_unavailable")
	s.fails("", "vault_unavailable", "rotate", "--tenant", "acme")
	s.fails("", "goes on trying", "tenant", "delete", "acme", "--shred", "--yes")
	if err := s.vault.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) { // by itself
		if _, err := s.vault.Run(t.Context(), s.dir, "vault read "+key); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the key of a shredded tenant is still there")
		}
	}
	s.stop()
}

func TestAuditBooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	acme, zoo := s.tenant("acme", goodKey), s.tenant("zoo", nextKey)
	for range 20 {
		s.chats(acme, 200, "Hello")
		s.chats(zoo, 200, "Hello")
		time.Sleep(100 * time.Millisecond) // several lives of the cache
	}
	s.want("", "credential", "test", "--tenant", "zoo", "--provider", "openai")
	verify := []string{"audit", "verify", "--vault-audit", s.vault.AuditFile}
	out := s.want("", verify...)
	if !strings.Contains(out, "the books match") || !strings.Contains(out, "served 40 requests") {
		t.Errorf("honest: %s", out)
	}
	// Somebody has the gateway's role and secret id, and a copy of the database.
	c := s.row("acme")
	bound := vaultbridge.Context{Tenant: "acme", CredentialID: c.ID, Provider: "openai", Address: c.Address}
	stolen := s.vault.Script(fmt.Sprintf(`export VAULT_TOKEN=$(vault write -field=token auth/approle/login role_id=@ownkey-data.role-id secret_id=@ownkey-data.secret-id)
vault write -field=plaintext transit/decrypt/%s ciphertext=%s context=%s`, c.Key, c.Sealed, base64.StdEncoding.EncodeToString(bound.Bytes())))
	if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(stolen)); err != nil || string(plain) != goodKey {
		t.Fatalf("the hand-made decrypt gave %q %v", plain, err)
	}
	out, status := s.verb("", verify...)
	if status != 1 || !strings.Contains(out, "1 unseals in Vault's log that we did not make") || !strings.Contains(out, "as approle: it carries no unseal id") {
		t.Errorf("with a stranger: %d %s", status, out)
	}
	if out, status := s.verb("", append(verify, "--from", "2026-11-24T10:00:00Z", "--to", "2026-11-24T09:00:00Z")...); status != 2 {
		t.Errorf("%d %s", status, out)
	}
	s.stop()
}

// TestRewrapOutlivesKill kills the gateway in the middle of a rewrap; the next
// one goes on by itself, and the audit's books still match.
func TestRewrapOutlivesKill(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const tenants = 30
	tokens := make([]string, tenants)
	for i := range tokens {
		id := fmt.Sprint("tenant-", i)
		tokens[i] = s.tenant(id, goodKey)
		s.want("", "rotate", "--tenant", id)
	}
	s.stop()
	s.keyring = "rewrap_rate: 5"
	s.serve(t, filepath.Join(s.dir, "data"))
	s.want("", "rewrap", "--detach")
	for s.version2() < 5 {
		time.Sleep(20 * time.Millisecond)
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	if n := s.version2(); n >= tenants {
		t.Fatalf("%d rows were done before the kill", n)
	}
	s.keyring = ""
	s.serve(t, filepath.Join(s.dir, "data"))
	for !strings.HasPrefix(s.want("", "rewrap", "--status"), "done") {
		for _, token := range tokens[:3] {
			s.chats(token, 200, "Hello")
		}
		time.Sleep(200 * time.Millisecond)
	}
	for _, token := range tokens {
		s.chats(token, 200, "Hello")
	}
	if n := s.version2(); n != tenants {
		t.Errorf("%d of %d rows are at version 2", n, tenants)
	}
	s.want("", "audit", "verify", "--vault-audit", s.vault.AuditFile)
	s.stop()
}

// version2 counts the rows of that version.
func (s *site) version2() (n int) {
	s.t.Helper()
	database, err := db.Open(s.t.Context(), filepath.Join(s.dir, "data", databaseFile))
	if err != nil {
		s.t.Fatal(err)
	}
	defer database.Close()
	if err := database.Read.QueryRow("SELECT count(*) FROM credentials WHERE key_version = 2 AND sealed LIKE 'vault:v2:%'").Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// row reads a tenant's credential from the database's file.
func (s *site) row(tenant string) (c directory.Credential) {
	s.t.Helper()
	database, err := db.Open(s.t.Context(), filepath.Join(s.dir, "data", databaseFile))
	if err != nil {
		s.t.Fatal(err)
	}
	defer database.Close()
	err = database.Read.QueryRow("SELECT id, host, address, key_name, sealed FROM credentials WHERE tenant_id = ? AND deleted_at = 0", tenant).
		Scan(&c.ID, &c.Host, &c.Address, &c.Key, &c.Sealed)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestNothingHoldsTheKey searches every file that a gateway on Vault leaves, in
// every spelling of the key.
func TestNothingHoldsTheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	token := s.tenant("acme", goodKey)
	for range 5 {
		s.chats(token, 200, "Hello")
	}
	s.want(badKey, "credential", "put", "--tenant", "acme", "--provider", "openai")
	s.want("", "credential", "rollback", "--tenant", "acme", "--provider", "openai")
	s.want("", "rotate", "--tenant", "acme")
	s.want("", "rewrap")
	s.chats(token, 200, "Hello")
	s.chats("ok_wrong", 401, "invalid_token")
	data := filepath.Join(s.dir, "data")
	s.want("", "backup", "--config", s.configure(t, data), filepath.Join(s.dir, "backup.tar.gz"))
	dump(t, filepath.Join(data, databaseFile), filepath.Join(s.dir, "dump.sql"))

	// A crash that would leave a core, as far as the shell and GOTRACEBACK go.
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.cmd.Process.Pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("%v %s", err, limits)
	}
	_ = s.cmd.Process.Signal(syscall.SIGABRT)
	err = s.cmd.Wait()
	if state, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() || state.CoreDump() {
		t.Errorf("ended with %v; core: %v", err, state.CoreDump())
	}

	files := 0
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".gz") {
			b = gunzip(t, b)
		}
		if strings.HasPrefix(filepath.Base(path), "core") {
			t.Errorf("%s is a core dump", path)
		}
		for _, key := range []string{goodKey, badKey} {
			for _, spelled := range spellings(key) {
				if bytes.Contains(b, []byte(spelled)) {
					t.Errorf("%s holds %q", path, spelled)
				}
			}
		}
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files, %v", files, err)
	}
}

// spellings are the forms in which a key could hide.
func spellings(key string) []string {
	all := []string{
		key, hex.EncodeToString([]byte(key)), strings.ToUpper(hex.EncodeToString([]byte(key))), url.QueryEscape(key), url.PathEscape(key),
	}
	// base64 of anything that has the key in it, at each of the three offsets.
	for shift := range 3 {
		padded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + key))
		inner := padded[4*((shift+2)/3) : len(padded)-4]
		all = append(all, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	return all
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// dump writes every cell of every table as text.
func dump(t *testing.T, database, to string) {
	t.Helper()
	d, err := db.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var out bytes.Buffer
	tables := cells(t, d, "SELECT name FROM sqlite_master WHERE type = 'table'")
	for table := range strings.FieldsSeq(tables) {
		out.WriteString(cells(t, d, "SELECT * FROM "+table))
	}
	if !strings.Contains(out.String(), "vault:v2:") {
		t.Errorf("the dump lacks the ciphertexts")
	}
	if err := os.WriteFile(to, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func cells(t *testing.T, d *db.DB, query string) string {
	t.Helper()
	rows, err := d.Read.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if b, ok := (*v.(*any)).([]byte); ok {
				out.Write(b)
			} else {
				fmt.Fprint(&out, *v.(*any))
			}
			out.WriteByte(' ')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestCommandsShareARefusal: gateways and commands that begin one after the
// other with a refused secret id do not lock its role out.
func TestCommandsShareARefusal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.tenant("acme", goodKey)
	s.stop()
	config := filepath.Join(s.dir, "data.yaml")
	good := map[string][]byte{}
	for _, identity := range []string{"data", "admin"} {
		file := s.vault.File("ownkey-" + identity + ".secret-id")
		content, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, []byte("none-of-Vaults"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		good[file] = content
	}
	backup := func(n int) (out string, status int) {
		return s.verb("", "backup", "--config", config, filepath.Join(s.dir, fmt.Sprintf("backup-%d.tar.gz", n)))
	}
	for n := range 6 { // five would be too many
		if out, status := backup(n); status == 0 {
			t.Fatalf("%s", out)
		}
	}
	s.serve(t, filepath.Join(s.dir, "data"))
	if out, status := s.verb("", "doctor"); status == 0 || !strings.Contains(out, "refused: Vault refused the secret id") || strings.Contains(out, "locked out") {
		t.Errorf("%d %s", status, out)
	}
	s.stop()
	for file, content := range good {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, status := backup(7); status != 0 {
		t.Errorf("%d %s", status, out)
	}
}
