package rotation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/internal/vaultserver/vaulttest"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// address is what rows are bound to.
const address = "https://h:443/v1"

// store is a directory with tenants, and keyrings to seal their rows.
type store struct {
	t         *testing.T
	directory *directory.Directory
	database  *db.DB
	log       bytes.Buffer // of walkers that have ended
}

func newStore(t *testing.T) *store {
	t.Helper()
	ctx := context.Background()
	database, err := db.Open(ctx, filepath.Join(t.TempDir(), "ownkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := directory.Open(ctx, database, directory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); _ = database.Close() })
	return &store{t: t, directory: d, database: database}
}

func newLocal(t *testing.T) *vaultbridge.Local {
	t.Helper()
	l, err := vaultbridge.CreateLocal(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newTransit makes a keyring on a Vault of its own.
func newTransit(t *testing.T, name string) (*vaultbridge.Transit, *vaulttest.Vault) {
	t.Helper()
	v := vaulttest.Start(t, vaultbridge.SetupScript("transit", "unused"), false)
	return transitOn(t, v, name, true), v
}

// transitOn makes a keyring on a Vault, with or without an admin identity.
func transitOn(t *testing.T, v *vaulttest.Vault, name string, admin bool) *vaultbridge.Transit {
	t.Helper()
	login := func(identity string) vaultbridge.Login {
		return vaultbridge.Login{
			Method: vaultbridge.MethodAppRole, RoleIDFile: v.File("ownkey-" + identity + ".role-id"), SecretIDFile: v.File("ownkey-" + identity + ".secret-id"),
		}
	}
	o := vaultbridge.TransitOptions{
		Name: name, Address: v.URL, Mount: "transit", Timeout: time.Second, Data: login("data"),
		Journal: func(vaultbridge.Unsealing) {}, Notify: func(vaultbridge.Event) {}, Metrics: prometheus.NewRegistry(),
	}
	if admin {
		o.Admin = login("admin")
	}
	k, err := vaultbridge.NewTransit(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// fill makes tenants with one row each, sealed by k, and replaces one row so
// that the old secret is kept to go back to.
func (s *store) fill(k vaultbridge.Keyring, tenants int) {
	s.t.Helper()
	ctx := context.Background()
	for i := range tenants {
		if _, err := s.directory.CreateTenant(ctx, tenantName(i), ""); err != nil {
			s.t.Fatal(err)
		}
		s.put(k, tenantName(i), "sk-"+tenantName(i))
	}
	s.put(k, tenantName(0), "sk-new")
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%03d", i) }

func (s *store) put(k vaultbridge.Keyring, tenant, secret string) {
	s.t.Helper()
	ctx := context.Background()
	id, err := s.directory.CredentialID(tenant, "openai", "default")
	if err != nil {
		s.t.Fatal(err)
	}
	sealed, err := k.Seal(ctx, vaultbridge.Context{Tenant: tenant, CredentialID: id, Provider: "openai", Address: address}, []byte(secret))
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.directory.PutCredential(ctx, directory.Credential{
		ID: id, TenantID: tenant, Provider: "openai", Label: "default", Host: "h:443", Address: address,
		Keyring: sealed.Keyring, Key: sealed.Key, Sealed: sealed.Blob, KeyVersion: sealed.KeyVersion, Fingerprint: sealed.Fingerprint,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// fingerprint is that of a tenant's first row.
func (s *store) fingerprint(tenant string) string {
	s.t.Helper()
	rows, err := s.directory.SealedRows(context.Background(), tenant)
	if err != nil || len(rows) == 0 {
		s.t.Fatal(rows, err)
	}
	return rows[0].Fingerprint
}

func (s *store) walker(rate int, current, previous vaultbridge.Keyring) *Walker {
	s.t.Helper()
	ring, err := vaultbridge.NewRing(current, previous)
	if err != nil {
		s.t.Fatal(err)
	}
	log := zerolog.New(zerolog.SyncWriter(&s.log))
	w := New(context.Background(), Options{Directory: s.directory, Ring: ring, Log: &log, Rate: rate, Rebind: func(_, _, _ string) string { return address }, Settle: 50 * time.Millisecond})
	s.t.Cleanup(w.Close)
	return w
}

func (s *store) start(w *Walker, tenant string) {
	s.t.Helper()
	if _, err := s.directory.StartRewrap(context.Background(), tenant); err != nil {
		s.t.Fatal(err)
	}
	w.Wake()
}

func (s *store) await(what string, ok func(*directory.Rewrap) bool) *directory.Rewrap {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		job, err := s.directory.LastRewrap(context.Background())
		if err != nil {
			s.t.Fatal(err)
		}
		if ok(job) {
			return job
		}
		if time.Now().After(end) {
			s.t.Fatalf("not in 30 s: %s: %+v", what, job)
		}
	}
}

func done(j *directory.Rewrap) bool { return j.State == directory.RewrapDone }

// opens checks that every row is k's, of a version, and opens to what was put.
func (s *store) opens(k vaultbridge.Keyring, tenants, version int) {
	s.t.Helper()
	for i := range tenants {
		rows, err := s.directory.SealedRows(context.Background(), tenantName(i))
		if err != nil {
			s.t.Fatal(err)
		}
		want := map[bool]string{false: "sk-" + tenantName(i)}
		if i == 0 {
			want = map[bool]string{false: "sk-new", true: "sk-" + tenantName(0)}
		}
		if len(rows) != len(want) {
			s.t.Errorf("%s has %d rows, want %d", tenantName(i), len(rows), len(want))
		}
		for j := range rows {
			r := &rows[j]
			credential, err := k.Unseal(context.Background(), bound(r))
			if err != nil || r.Keyring != k.Name() || r.KeyVersion != version || r.Fingerprint == "" {
				s.t.Fatalf("%+v: %v", r, err)
			}
			credential.Use(func(b []byte) {
				if string(b) != want[r.Replaced] {
					s.t.Errorf("%s opens to %q", r.TenantID, b)
				}
			})
		}
	}
}

func TestRowsMoveBetweenKeyrings(t *testing.T) {
	const tenants = 20
	s := newStore(t)
	local := newLocal(t)
	s.fill(local, tenants)
	first, _ := newTransit(t, "first")
	second, _ := newTransit(t, "second")
	for _, move := range []struct{ to, from vaultbridge.Keyring }{{first, local}, {second, first}, {local, second}} {
		w := s.walker(1000, move.to, move.from)
		before := s.fingerprint(tenantName(0))
		s.start(w, "")
		job := s.await("the move to "+move.to.Name(), done)
		if job.RowsDone != tenants+1 || job.RowsFailed != 0 || job.TenantsDone != tenants {
			t.Errorf("%+v", job)
		}
		if after := s.fingerprint(tenantName(0)); after == before || after == "" {
			t.Errorf("moved to %s, the fingerprint is %q as before", move.to.Name(), after)
		}
		s.opens(move.to, tenants, 1)
		w.Close()
	}
}

func TestRotationEndsWithOldVersionsShut(t *testing.T) {
	const tenants = 5
	s := newStore(t)
	k, v := newTransit(t, "vault")
	s.fill(k, tenants)
	w := s.walker(1000, k, nil)
	for i := range tenants {
		if _, err := k.Rotate(context.Background(), tenantName(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.fingerprint(tenantName(1))
	s.start(w, tenantName(1))
	s.await("the rewrap of one tenant", done)
	if after := s.fingerprint(tenantName(1)); after != before || before == "" {
		t.Errorf("the fingerprint was %q and is %q", before, after)
	}
	min := func(tenant string) string {
		return strings.TrimSpace(v.Script("vault read -field=min_decryption_version transit/keys/ownkey-" + tenant))
	}
	if min(tenantName(1)) != "2" || min(tenantName(2)) != "1" {
		t.Errorf("min_decryption_version: %s and %s, want 2 and 1", min(tenantName(1)), min(tenantName(2)))
	}
	s.start(w, "")
	if job := s.await("the rewrap of all", done); job.RowsDone != tenants { // 4 rows and the one that was replaced
		t.Errorf("%+v", job)
	}
	s.opens(k, tenants, 2)
	if min(tenantName(0)) != "2" {
		t.Errorf("min_decryption_version: %s, want 2", min(tenantName(0)))
	}
	s.start(w, "")
	if job := s.await("a rewrap with nothing to do", done); job.RowsDone != 0 {
		t.Errorf("%+v", job)
	}
}

// TestOldVersionsStayOpenUntilCallsHaveSettled: calls that have read a row before
// it was rewrapped open it in that time.
func TestOldVersionsStayOpenUntilCallsHaveSettled(t *testing.T) {
	s := newStore(t)
	k, v := newTransit(t, "vault")
	s.fill(k, 1)
	w := s.walker(1000, k, nil)
	w.settle = 3 * time.Second
	if _, err := k.Rotate(context.Background(), tenantName(0)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.start(w, "")
	s.await("a row of the new version", func(j *directory.Rewrap) bool { return j.State == directory.RewrapSettling })
	if min := v.Script("vault read -field=min_decryption_version transit/keys/ownkey-" + tenantName(0)); time.Since(began) < w.settle && strings.TrimSpace(min) != "1" {
		t.Errorf("min_decryption_version is %s before calls have settled", min)
	}
	s.await("the end", done)
	if took := time.Since(began); took < w.settle {
		t.Errorf("old versions were shut after %v", took)
	}
}

// TestWalkGoesOnAfterItsProcess breaks a walk off in the middle, over and over,
// in the ways a process can end.
func TestWalkGoesOnAfterItsProcess(t *testing.T) {
	const tenants = 60
	s := newStore(t)
	k, _ := newTransit(t, "vault")
	s.fill(k, tenants)
	for i := range tenants {
		if _, err := k.Rotate(context.Background(), tenantName(i)); err != nil {
			t.Fatal(err)
		}
	}
	w := s.walker(200, k, nil)
	w.limiter.SetBurst(5)
	s.start(w, "")
	version2 := func() (n int) {
		row := s.database.Read.QueryRow("SELECT count(*) FROM credentials WHERE key_version = 2")
		if err := row.Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round, last := 1, 0; round <= 3; round++ {
		s.await("some rows", func(*directory.Rewrap) bool { return version2() > last+5 })
		w.Close()
		last = version2()
		if last >= tenants {
			t.Fatalf("all rows are done in round %d", round)
		}
		// Whoever ran it is not heard of any more.
		if _, err := s.database.Write.Exec("UPDATE rewraps SET beat_at = beat_at - 60"); err != nil {
			t.Fatal(err)
		}
		w = s.walker(200, k, nil)
		w.limiter.SetBurst(5)
	}
	s.await("the end", done)
	s.opens(k, tenants, 2)
}

// TestTwoProcessesDoNotShareAWalk: the one that beats has it.
func TestTwoProcessesDoNotShareAWalk(t *testing.T) {
	s := newStore(t)
	if _, err := s.directory.CreateTenant(context.Background(), "acme", ""); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := s.directory.StartRewrap(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.directory.StartRewrap(ctx, "acme"); !errors.Is(err, directory.ErrExists) {
		t.Errorf("another walk beside the one that runs: %v", err)
	}
	job, err := s.directory.ClaimRewrap(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.directory.ClaimRewrap(ctx, "two"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("two processes have it: %v", err)
	}
	if err := s.directory.UpdateRewrap(ctx, "two", job); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("two processes write it: %v", err)
	}
}

// TestWalkWaitsForVault: an outage ends nothing and loses nothing.
func TestWalkWaitsForVault(t *testing.T) {
	s := newStore(t)
	k, v := newTransit(t, "vault")
	s.fill(k, 5)
	for i := range 5 {
		if _, err := k.Rotate(context.Background(), tenantName(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.start(s.walker(1000, k, nil), "")
	s.await("its trouble", func(j *directory.Rewrap) bool {
		return j.Trouble == "vault_unavailable" && j.State != directory.RewrapDone
	})
	if err := v.Unseal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if job := s.await("the end", done); job.Trouble != "" {
		t.Errorf("%+v", job)
	}
	s.opens(k, 5, 2)
}

// TestRowThatDoesNotOpenStays: it is counted, the others are done, and its
// tenant keeps all key versions.
func TestRowThatDoesNotOpenStays(t *testing.T) {
	s := newStore(t)
	k, v := newTransit(t, "vault")
	s.fill(k, 3)
	for i := range 3 {
		if _, err := k.Rotate(context.Background(), tenantName(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.database.Write.Exec("UPDATE credentials SET host = 'elsewhere:443', address = 'https://elsewhere:443/v1' WHERE tenant_id = ?", tenantName(0)); err != nil {
		t.Fatal(err)
	}
	w := s.walker(1000, k, nil)
	s.start(w, "")
	if job := s.await("the end", done); job.RowsFailed != 1 || job.RowsDone != 3 {
		t.Errorf("%+v", job)
	}
	w.Close()
	if said := s.log.String(); strings.Count(said, `"level":"error"`) != 1 || !strings.Contains(said, `"tenant":"`+tenantName(0)+`","credential":"`) {
		t.Errorf("the log names it so: %s", said)
	}
	for tenant, want := range map[string]string{tenantName(0): "1", tenantName(1): "2"} {
		if got := strings.TrimSpace(v.Script("vault read -field=min_decryption_version transit/keys/ownkey-" + tenant)); got != want {
			t.Errorf("min_decryption_version of %s is %s, want %s", tenant, got, want)
		}
	}
}

// TestNewCredentialWinsOverARewrap: what an operator stores while its row is on
// the way through Vault is not overwritten.
func TestNewCredentialWinsOverARewrap(t *testing.T) {
	s := newStore(t)
	k := newLocal(t)
	s.fill(k, 1)
	rows, err := s.directory.SealedRows(context.Background(), tenantName(0))
	if err != nil {
		t.Fatal(err)
	}
	s.put(k, tenantName(0), "sk-newest")
	var changes []directory.Resealed
	for i := range rows {
		changes = append(changes, resealed(&rows[i], address, vaultbridge.Sealed{Keyring: "local", Blob: "stale", KeyVersion: 9}))
	}
	if n, err := s.directory.Reseal(context.Background(), changes); n != 0 || err != nil {
		t.Errorf("%d rows were overwritten, %v", n, err)
	}
}

// TestLocalKeysRotateByALineInTheFile: the local keyring's way.
func TestLocalKeysRotateByALineInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	local, err := vaultbridge.CreateLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	s.fill(local, 3)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("v2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	next, err := vaultbridge.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	s.start(s.walker(1000, next, nil), "")
	s.await("the end", done)
	s.opens(next, 3, 2)
}

// TestShredIsNotClaimedWithoutAnAdminIdentity: a gateway that can not destroy a
// key leaves it to one that can.
func TestShredIsNotClaimedWithoutAnAdminIdentity(t *testing.T) {
	s := newStore(t)
	k, v := newTransit(t, "vault")
	s.fill(k, 1)
	ctx := context.Background()
	if err := s.directory.DeleteTenant(ctx, tenantName(0), true); err != nil {
		t.Fatal(err)
	}
	w := s.walker(1000, transitOn(t, v, "vault", false), nil)
	if err := w.Shred(ctx, directory.Shred{TenantID: tenantName(0), Unnamed: true}); !errors.Is(err, vaultbridge.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	w.Close()
	if ids, err := s.directory.PendingShreds(ctx); err != nil || len(ids) != 1 {
		t.Errorf("pending: %v %v", ids, err)
	}
	s.walker(1000, k, nil)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if ids, _ := s.directory.PendingShreds(ctx); len(ids) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the key is not destroyed")
		}
	}
	if version, err := k.Newest(ctx, tenantName(0)); version != 0 || err != nil {
		t.Errorf("the key is still there: version %d, %v", version, err)
	}
}
