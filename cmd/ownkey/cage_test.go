package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/canary"
	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/fakeprovider"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
)

// faulty is the program built with the tag faults.
var faulty = sync.OnceValues(func() (string, error) {
	path := binary + "-faults"
	out, err := exec.Command("go", "build", "-tags", "faults", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// cage is a gateway with everything on (Vault, ClickHouse, memory, profiles,
// log level debug) that is fed with marked texts, and all that it leaves behind.
type cage struct {
	*stand
	vault  *vaulttest.Vault
	engine *clickhouseserver.Server
	faults string // file that says what breaks

	prompt, completion, memory, captured, upload  canary.Mark
	providerKey, token, adminToken, wrong, userID canary.Mark

	mu    sync.Mutex
	sinks map[string]*sink
}

// sink is a place where the gateway leaves bytes.
type sink struct {
	b   bytes.Buffer
	may []canary.Mark // that belong there
}

// marks are all that was planted.
func (c *cage) marks() []canary.Mark {
	return []canary.Mark{c.prompt, c.completion, c.memory, c.captured, c.upload, c.providerKey, c.token, c.adminToken, c.wrong, c.userID}
}

func newCage(t *testing.T, change ...func(*cage)) *cage {
	t.Helper()
	program, err := faulty()
	if err != nil {
		t.Fatal(err)
	}
	c := &cage{stand: &stand{process: &process{t: t}, binary: program, dir: t.TempDir()}, sinks: map[string]*sink{}}
	for m, name := range map[*canary.Mark]string{
		&c.prompt: "prompt", &c.completion: "completion", &c.memory: "memory", &c.captured: "captured turn", &c.upload: "upload",
		&c.providerKey: "provider key", &c.adminToken: "admin token", &c.wrong: "wrong token", &c.userID: "query and header",
	} {
		*m = canary.New(name)
	}
	setup, err := exec.Command(binary, "vault", "policy").Output()
	if err != nil {
		t.Fatal(err)
	}
	c.vault = vaulttest.Start(t, string(setup), false)
	if c.engine, err = clickhouseserver.Start(context.Background(), clickhouseserver.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.engine.Kill() })
	if c.provider, err = fakeprovider.Start("127.0.0.1:0", fakeprovider.Options{Keys: []string{"sk-" + c.providerKey.Core}, Says: c.completion.Core}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.provider.Close() })
	c.configure(filepath.Join(c.dir, "data"))
	for _, ch := range change {
		ch(c)
	}
	c.want("", "migrate", "--config", c.config)
	c.serve()
	c.tenants()
	return c
}

// configure writes the configuration for a data directory.
func (c *cage) configure(data string) {
	c.t.Helper()
	c.config, c.faults = filepath.Join(c.dir, "ownkey.yaml"), filepath.Join(c.dir, "faults")
	listen, admin := freePort(c.t), freePort(c.t)
	text := fmt.Sprintf(`listen: %s
admin: {listen: '%s', token: '${OWNKEY_ADMIN_TOKEN}', pprof: true}
data: %s
keyring:
  cache_ttl: 1s
  vault:
    address: %s
    data: {method: approle, role_id_file: %s, secret_id_file: %s}
    admin: {method: approle, role_id_file: %s, secret_id_file: %s}
providers:
  openai: {base_url: '%s', first_byte_timeout: 700ms, idle_timeout: 700ms}
  anthropic: {base_url: '%s', first_byte_timeout: 700ms, idle_timeout: 700ms}
  away: {base_url: 'http://127.0.0.1:1/v1'}
limits: {max_body_bytes: 65536}
meter:
  clickhouse: {url: '%s', timeout: 5s}
memory: {recall_timeout: 1s}
log: {level: debug}
`, listen, admin, data, c.vault.URL, c.vault.File("ownkey-data.role-id"), c.vault.File("ownkey-data.secret-id"),
		c.vault.File("ownkey-admin.role-id"), c.vault.File("ownkey-admin.secret-id"), c.provider.URL(), c.provider.URL(), c.engine.URL)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.ready = readiness{BaseURL: "http://" + listen + "/v1", AdminURL: "http://" + admin, AdminToken: "oka_" + c.adminToken.Core}
	c.env = []string{"OWNKEY_FAULTS=" + c.faults}
}

// reconfigure changes a line of the configuration and restarts on it: that is
// how one is loaded.
func (c *cage) reconfigure(from, to string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	if err == nil {
		err = os.WriteFile(c.config, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.stop()
	c.serve()
}

// lockStore keeps everybody else from writing to the tenants' database, and from
// reading what is newer, until the function that it gives is called.
func (c *cage) lockStore() func() {
	c.t.Helper()
	database, err := db.Open(context.Background(), filepath.Join(c.dir, "data", databaseFile))
	if err != nil {
		c.t.Fatal(err)
	}
	tx, err := database.Write.Begin()
	if err == nil {
		_, err = tx.Exec("UPDATE counter SET revision = revision")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), database.Close()); err != nil {
			c.t.Error(err)
		}
	}
}

// tenants makes acme, whose every call can be paid, and poor, that has no
// credential.
func (c *cage) tenants() {
	c.t.Helper()
	c.want("", "tenant", "create", "acme")
	for _, provider := range []string{"openai", "anthropic", "away"} {
		c.want("sk-"+c.providerKey.Core, "credential", "put", "--tenant", "acme", "--provider", provider)
	}
	c.want("", "tenant", "update", "acme", "--default-provider", "openai")
	c.stand.token = strings.TrimSpace(c.want("", "token", "create", "--tenant", "acme"))
	c.token = canary.Mark{Name: "tenant token", Core: c.stand.token[15:47]}
}

// keep adds to a sink what may not hold any mark but those that are named.
func (c *cage) keep(name string, b []byte, may ...canary.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sinks[name]
	if s == nil {
		s = &sink{may: may}
		c.sinks[name] = s
	}
	s.b.Write(b)
	s.b.WriteByte('\n')
}

// breakAt makes the program panic at points, with marked texts in the value;
// without points it is whole again.
func (c *cage) breakAt(points ...string) {
	c.t.Helper()
	text := ""
	for _, p := range points {
		text += p + "\t" + c.prompt.Core + " " + c.providerKey.Core + " " + c.token.Core + " " + c.memory.Core + "\n"
	}
	if err := os.WriteFile(c.faults, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// fetch gets a path of the admin plane into a sink.
func (c *cage) fetch(name, path string) {
	request, err := http.NewRequest("GET", c.ready.AdminURL+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.ready.AdminToken)
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return // the process is down; what it left behind is looked at
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	c.keep(name, fmt.Appendf(nil, "%v\n%s", response.Header, b))
}

// look takes what can be seen of the running process.
func (c *cage) look() {
	c.t.Helper()
	c.fetch("metrics", "/metrics")
	today := time.Now().UTC().Format("2006-01-02")
	for _, path := range []string{
		"/tenants", "/tenants/acme", "/tenants/acme/tokens", "/tenants/acme/credentials", "/tenants/acme/credentials/openai/default",
		"/usage?tenant=acme&by=model&from=" + today, "/usage?tenant=acme&by=token&from=" + today, "/usage?tenant=acme&by=credential&from=" + today,
		"/records?tenant=acme&from=" + today, "/evidence/acme?from=" + today, "/invoices/acme/" + today[:7], "/invoices/acme/" + today[:7] + "?format=html",
		"/rewrap", "/doctor", "/reconcile?provider=openai&from=" + today, "/nowhere/" + c.userID.Core,
	} {
		c.fetch("admin answers", "/admin/v1"+path)
	}
	for _, profile := range []string{"heap", "allocs", "goroutine", "threadcreate", "block", "mutex"} {
		for _, debug := range []string{"0", "1", "2"} {
			c.fetch("profile "+profile, "/debug/pprof/"+profile+"?debug="+debug)
		}
	}
	c.fetch("profile cpu", "/debug/pprof/profile?seconds=1")
	for _, file := range []string{"environ", "cmdline", "comm", "status", "maps"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.cmd.Process.Pid, file))
		if err == nil {
			c.keep("/proc/PID/"+file, b)
		}
	}
	if b, err := os.ReadFile(c.vault.AuditFile); err == nil {
		c.keep("Vault's audit log", b)
	}
	if out, status := c.verb("", "backup", filepath.Join(c.dir, "backup.tar")); status == 0 {
		b, err := os.ReadFile(filepath.Join(c.dir, "backup.tar"))
		if err != nil {
			c.t.Error(err)
		}
		c.keep("backup", b)
		_ = os.Remove(filepath.Join(c.dir, "backup.tar"))
	} else {
		c.keep("output of verbs", []byte(out))
	}
}

// gather takes what lies on disks and in tables. Memories, and turns that were
// captured, lie in the memory store and nowhere else.
func (c *cage) gather(data string) {
	c.t.Helper()
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // a segment that was sent meanwhile
		}
		name, may := "data: "+strings.SplitN(strings.TrimPrefix(path, data+"/"), "/", 2)[0], []canary.Mark(nil)
		if strings.HasPrefix(d.Name(), memoryFile) {
			may = []canary.Mark{c.memory, c.captured}
		}
		c.keep(name, append([]byte(path), b...), may...)
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
	c.keep("stderr", []byte(c.stderr.String()))
	for _, dir := range []string{c.dir, "."} {
		left, _ := filepath.Glob(filepath.Join(dir, "core*"))
		for _, core := range left {
			c.t.Errorf("a core dump: %s", core)
		}
	}
}

// tables takes every table of ClickHouse's database.
func (c *cage) tables() {
	c.t.Helper()
	u, err := url.Parse(c.engine.URL + "/?database=ownkey")
	if err != nil {
		c.t.Fatal(err)
	}
	names := strings.Fields(clickhousetest.Run(c.t, u, "SELECT name FROM system.tables WHERE database = 'ownkey' AND engine NOT LIKE '%View'"))
	if len(names) < 3 {
		c.t.Fatalf("tables: %v", names)
	}
	for _, name := range names {
		c.keep("ClickHouse: "+name, []byte(clickhousetest.Run(c.t, u, "SELECT * FROM "+name+" FORMAT JSONEachRow")))
	}
}

// insertLeak puts a mark into a row.
func (c *cage) insertLeak(m canary.Mark) {
	c.t.Helper()
	u, err := url.Parse(c.engine.URL + "/?database=ownkey")
	if err != nil {
		c.t.Fatal(err)
	}
	clickhousetest.Run(c.t, u, "INSERT INTO requests (tenant, model, started_at) VALUES ('acme', '"+m.Core+"', now64(6))")
}

// leaks searches every sink.
func (c *cage) leaks() (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, s := range c.sinks {
		found = append(found, s.leaks(name, s.b.Bytes(), c.marks())...)
	}
	return found
}

func (s *sink) leaks(name string, b []byte, marks []canary.Mark) (found []string) {
	for _, h := range canary.Find(b, marks) {
		allowed := false
		for _, m := range s.may {
			allowed = allowed || m.Name == h.Mark
		}
		if !allowed {
			found = append(found, fmt.Sprintf("%s holds the %s (%s, at %d of %d)", name, h.Mark, h.Form, h.Offset, len(b)))
		}
	}
	return found
}
