package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/installation"
)

// outcome starts the gateway on a configuration and gives what it printed when
// it refuses to; empty when it serves.
func (s *stand) outcome(config string) string {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer stop()
	var printed output
	cmd := exec.CommandContext(ctx, s.binary, "serve", "--config", config)
	cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+s.ready.AdminToken)
	cmd.Stderr = &printed
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
				s.t.Fatalf("ended with %v: %s", err, printed.String())
			}
			return printed.String()
		case <-time.After(5 * time.Millisecond):
			if strings.Contains(printed.String(), `"message":"serving"`) {
				_ = cmd.Process.Kill()
				<-ended
				return ""
			}
		}
	}
}

// TestLostAndForeignStoresAreRefused: a store that was lost, emptied or swapped
// keeps the gateway from starting, with its name and the way out, until somebody
// accepts it.
func TestLostAndForeignStoresAreRefused(t *testing.T) {
	t.Parallel()
	s := newStand(t, "")
	s.want("", "usage", "--tenant", "acme") // every store is in use
	s.stop()
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	remove := func(names ...string) func(dir string) error {
		return func(dir string) (err error) {
			for _, name := range names {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
			}
			return err
		}
	}
	for _, c := range []struct {
		what   string
		damage func(dir string) error
		names  string // in the refusal
		adopt  []string
	}{
		{"nothing", remove(), "", nil},
		{"usage.db is lost", remove("usage.db", "usage.db-wal", "usage.db-shm"), "usage.db: it is empty", []string{"usage.db"}},
		{"memory.db is lost", remove("memory.db", "memory.db-wal", "memory.db-shm"), "memory.db: it is empty", []string{"memory.db"}},
		{"the ledger is lost", remove("ledger"), "ledger: it is another one", []string{"ledger"}},
		{"ownkey.db is lost", remove("ownkey.db", "ownkey.db-wal", "ownkey.db-shm"), "usage.db: it belongs to installation", []string{"usage.db", "memory.db"}},
		{"usage.db is of another installation", func(dir string) error {
			if err := remove("usage.db", "usage.db-wal", "usage.db-shm")(dir); err != nil {
				return err
			}
			return foreign(filepath.Join(dir, "usage.db"))
		}, "usage.db: it belongs to installation", []string{"usage.db"}},
		{"all but ownkey.db is lost", remove("usage.db", "usage.db-wal", "usage.db-shm", "memory.db", "memory.db-wal", "memory.db-shm", "ledger"), "ledger", []string{"ledger", "usage.db", "memory.db"}},
		{"everything is lost", remove("."), "", nil}, // nothing is left that could know
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(s.dir, "data"))); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(filepath.Dir(dir), "ownkey.yaml")
		if err := os.WriteFile(file, bytes.ReplaceAll(config, []byte(filepath.Join(s.dir, "data")), []byte(dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.what == "everything is lost" {
			dir = filepath.Join(dir, "elsewhere")
		}
		if err := c.damage(dir); c.what != "everything is lost" && err != nil {
			t.Fatal(err)
		}
		for range 2 { // a refusal changes nothing
			said := s.outcome(file)
			if (said == "") != (c.names == "") || !strings.Contains(said, c.names) || said != "" && !strings.Contains(said, "ownkey adopt") {
				t.Errorf("%s: %s, want %s", c.what, said, c.names)
			}
		}
		if c.adopt == nil {
			continue
		}
		if out, status := s.verb("", append([]string{"adopt", "--data", dir}, c.adopt...)...); status != 0 {
			t.Errorf("%s: adopt: %d %s", c.what, status, out)
		}
		if said := s.outcome(file); said != "" {
			t.Errorf("%s, adopted: %s", c.what, said)
		}
	}

	// Another master key, in place of ours.
	other := filepath.Join(s.dir, "other.key")
	s.want("", "keygen", other)
	file := filepath.Join(s.dir, "other.yaml")
	if err := os.WriteFile(file, bytes.ReplaceAll(config, []byte(filepath.Join(s.dir, "master.key")), []byte(other)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := s.outcome(file); !strings.Contains(said, "keyring: version 1 of the master key is another one") || !strings.Contains(said, "ownkey adopt --data DIR keyring") ||
		strings.Contains(said, "stopping with records") { // it has not waited for records that nobody was to hand on
		t.Errorf("another master key: %s", said)
	}
	s.serve() // with all that is its own
	s.chatsOnce()
}

// chatsOnce makes a call that succeeds.
func (s *stand) chatsOnce() {
	s.t.Helper()
	if status, body := s.chat(s.token, "gpt-4o", "Hello"); status != 200 {
		s.t.Errorf("%d %s", status, body)
	}
}

// foreign makes a database that belongs to another installation.
func foreign(path string) (err error) {
	ctx := context.Background()
	main, err := db.Open(ctx, path+".main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, main.Close()) }()
	d, err := db.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r, err := installation.Open(ctx, main)
	if err != nil {
		return err
	}
	return r.Database(ctx, filepath.Base(path), d)
}

// TestDoctorLooksAtStores: on a sound gateway all is well; a damaged page and a
// credential that does not open are found.
func TestDoctorLooksAtStores(t *testing.T) {
	t.Parallel()
	s := newStand(t, "")
	out := s.want("", "doctor")
	for _, check := range []string{
		"stores belong together", "ownkey.db: pages are sound", "usage.db: pages are sound", "memory.db: pages are sound",
		"keyring local: a stored credential opens", "disk has room", "disk takes flushes", "descriptors",
	} {
		if !strings.Contains(out, "ok    "+check) {
			t.Errorf("doctor does not say that all is well with %q:\n%s", check, out)
		}
	}
	if !strings.Contains(out, "--    keyring local: a master key file") {
		t.Errorf("doctor says to have tested a file that it has not looked at:\n%s", out)
	}
	s.stop()
	data := filepath.Join(s.dir, "data")
	change(t, filepath.Join(data, databaseFile), "UPDATE credentials SET sealed = 'ownkey:v1:AAAA', revision = revision + 1000000") // no key opens it
	// A row that its table cannot have.
	change(t, filepath.Join(data, usageFile), "CREATE TABLE damaged (x TEXT)", "INSERT INTO damaged VALUES (NULL)", "PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = 'CREATE TABLE damaged (x TEXT NOT NULL)' WHERE name = 'damaged'")
	s.serve()
	out, status := s.verb("", "doctor")
	if status != exitFailed || !strings.Contains(out, "FAIL  keyring local: a stored credential opens") || !strings.Contains(out, "FAIL  usage.db: pages are sound") {
		t.Errorf("%d\n%s", status, out)
	}
	s.kill()
}

// change runs statements on a database that nobody has open.
func change(t *testing.T, path string, statements ...string) {
	t.Helper()
	database, err := db.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	for _, s := range statements {
		if _, err := database.Write.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdminPlaneSpeaksTLS: with a certificate of its own, which verbs can be made
// to trust.
func TestAdminPlaneSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := newStand(t, "")
	s.stop()
	a := newAuthority(t)
	file := func(name string) string { return filepath.Join(s.dir, name) }
	a.issue(7, file("admin.crt"), file("admin.key"))
	if err := os.WriteFile(file("ca.crt"), a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(text), "token: '${OWNKEY_ADMIN_TOKEN}'", "token: '${OWNKEY_ADMIN_TOKEN}', tls: {cert_file: "+file("admin.crt")+", key_file: "+file("admin.key")+"}", 1)
	if err := os.WriteFile(s.config, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.eventually("it serves again", func() bool { return strings.Count(s.stderr.String(), `"message":"serving"`) == 2 })
	plain := s.ready.AdminURL
	s.ready.AdminURL = strings.Replace(plain, "http://", "https://", 1)
	if out, status := s.verb("", "tenant", "list", "--admin-ca-file", file("ca.crt")); status != 0 || !strings.Contains(out, "acme") {
		t.Errorf("%d %s", status, out)
	}
	if out, status := s.verb("", "tenant", "list"); status != exitFailed {
		t.Errorf("a certificate that nobody knows: %d %s", status, out)
	}
	s.ready.AdminURL = plain
	if out, status := s.verb("", "tenant", "list"); status != exitFailed {
		t.Errorf("in clear: %d %s", status, out)
	}
}

// TestAdoptNeedsAGatewayThatIsStopped: the next start would take whatever is there.
func TestAdoptNeedsAGatewayThatIsStopped(t *testing.T) {
	s := newStand(t, "")
	if out, status := s.verb("", "adopt", "--data", filepath.Join(s.dir, "data"), "memory.db"); status == 0 || !strings.Contains(out, "one gateway has a data directory to itself") {
		t.Errorf("%d %s", status, out)
	}
	s.stop()
}
