package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

var ctx = context.Background()

func open(t testing.TB, path string) *Directory {
	t.Helper()
	database, err := db.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(ctx, database, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); _ = database.Close() })
	return d
}

func newDirectory(t testing.TB) *Directory {
	t.Helper()
	d := open(t, filepath.Join(t.TempDir(), "ownkey.db"))
	if _, err := d.CreateTenant(ctx, "acme", "Acme"); err != nil {
		t.Fatal(err)
	}
	return d
}

func newToken(t testing.TB, d *Directory, n NewToken) (string, *Token) {
	t.Helper()
	if n.Label == "" {
		n.Label = "test"
	}
	plain, token, err := d.CreateToken(ctx, "acme", n)
	if err != nil {
		t.Fatal(err)
	}
	return plain, token
}

func withChecksum(s string) string {
	sum := checksum([]byte(s))
	return s + string(sum[:])
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTokenAuthenticates(t *testing.T) {
	d := newDirectory(t)
	plain, token := newToken(t, d, NewToken{Label: "ci", Scopes: []string{ScopeInference}})
	if len(plain) != 53 || !strings.HasPrefix(plain, "ok_"+token.ID) {
		t.Errorf("token of %d bytes", len(plain))
	}
	caller, err := d.Authenticate([]byte(plain), time.Now())
	if err != nil || caller.Tenant.ID != "acme" || caller.Token.Label != "ci" || caller.Token.AllowsScope(ScopeMemory) {
		t.Errorf("got %+v, %v", caller, err)
	}
	// What a scanner of secrets would compute.
	sum := crc32.ChecksumIEEE([]byte(plain[:47]))
	want := ""
	for range 6 {
		want = string(base62[sum%62]) + want
		sum /= 62
	}
	if plain[47:] != want {
		t.Errorf("checksum %s, want %s", plain[47:], want)
	}
}

func TestEveryBadTokenIsTheSame(t *testing.T) {
	d := newDirectory(t)
	plain, token := newToken(t, d, NewToken{})
	other, _ := newToken(t, d, NewToken{})
	expiring, _ := newToken(t, d, NewToken{ExpiresAt: time.Now().Add(time.Minute)})
	forged := withChecksum(plain[:20] + other[20:47]) // the id of one, the secret of another
	f := func(name, presented string, at time.Time) {
		t.Helper()
		if _, err := d.Authenticate([]byte(presented), at); err != ErrInvalidToken {
			t.Errorf("%s: got %v", name, err)
		}
	}
	now := time.Now()
	f("empty", "", now)
	f("malformed", "sk-test", now)
	f("one letter changed", plain[:30]+"_"+plain[31:], now)
	f("unknown", withChecksum("ok_"+strings.Repeat("0", 44)), now)
	f("forged", forged, now)
	f("expired", expiring, now.Add(time.Minute+time.Second))
	if _, err := d.Authenticate([]byte(expiring), now); err != nil {
		t.Error(err)
	}
	if err := d.RevokeToken(ctx, "acme", token.ID); err != nil {
		t.Fatal(err)
	}
	f("revoked", plain, now)
	if err := d.RevokeToken(ctx, "acme", token.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if err := d.DeleteTenant(ctx, "acme", false); err != nil {
		t.Fatal(err)
	}
	f("of a deleted tenant", other, now)
}

func TestOnlyDigestsAreStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	d := open(t, path)
	if _, err := d.CreateTenant(ctx, "acme", ""); err != nil {
		t.Fatal(err)
	}
	plain, token := newToken(t, d, NewToken{})
	files, _ := filepath.Glob(path + "*")
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	secret := plain[15:47]
	if bytes.Contains(all, []byte(secret)) {
		t.Error("the token's secret is in the database")
	}
	if !bytes.Contains(all, []byte(token.ID)) {
		t.Error("the search finds nothing at all")
	}
	var digest []byte
	if err := d.db.Read.QueryRow("SELECT digest FROM tokens WHERE id = ?", token.ID).Scan(&digest); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256([]byte(plain)); !bytes.Equal(digest, want[:]) {
		t.Error("what is stored is not the SHA-256 of the token")
	}
}

func TestStateSurvivesReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	d := open(t, path)
	if _, err := d.CreateTenant(ctx, "acme", "Acme"); err != nil {
		t.Fatal(err)
	}
	name, routes := "groq", []Route{{"llama-*", "groq"}}
	if _, err := d.UpdateTenant(ctx, "acme", TenantChange{DefaultProvider: &name, Routes: &routes}); err != nil {
		t.Fatal(err)
	}
	plain, _ := newToken(t, d, NewToken{Models: []string{"gpt-4o*"}})
	id, err := d.CredentialID("acme", "groq", "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.PutCredential(ctx, Credential{ID: id, TenantID: "acme", Provider: "groq", Label: "default", Host: "h:1", Sealed: "blob", KeyVersion: 3}); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	caller, err := again.Authenticate([]byte(plain), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, err := caller.Tenant.Credential("groq", "")
	if err != nil || c.ID != id || c.Sealed != "blob" || c.KeyVersion != 3 || caller.Tenant.Route([]byte("llama-3")) != "groq" ||
		!caller.Token.AllowsModel("openai", []byte("gpt-4o-mini")) || caller.Token.AllowsModel("openai", []byte("o3")) {
		t.Errorf("got %+v, %+v, %v", caller.Tenant, c, err)
	}
}

func TestRevocationReachesOtherProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	here, there := open(t, path), open(t, path)
	if _, err := here.CreateTenant(ctx, "acme", ""); err != nil {
		t.Fatal(err)
	}
	plain, token := newToken(t, here, NewToken{})
	authenticates := func(d *Directory) bool {
		_, err := d.Authenticate([]byte(plain), time.Now())
		return err == nil
	}
	eventually(t, 2*time.Second, "the other process knows the token", func() bool { return authenticates(there) })
	if err := here.RevokeToken(ctx, "acme", token.ID); err != nil {
		t.Fatal(err)
	}
	if authenticates(here) {
		t.Error("the token works where it was revoked")
	}
	eventually(t, 2*time.Second, "the other process knows the revocation", func() bool { return !authenticates(there) })
}

// TestRevokedTokensNeverComeBack lets many writers, readers and refreshes of
// two processes race; once somebody saw a token refused, nobody may see it
// accepted in that process.
func TestRevokedTokensNeverComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	here, there := open(t, path), open(t, path)
	if _, err := here.CreateTenant(ctx, "acme", ""); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				plain, token := newToken(t, here, NewToken{})
				_ = there.sync(ctx)
				var readers sync.WaitGroup
				stop := make(chan struct{})
				for _, d := range []*Directory{here, there} {
					readers.Go(func() {
						refused := false
						for {
							_, err := d.Authenticate([]byte(plain), time.Now())
							if refused && err == nil {
								t.Error("a revoked token came back")
							}
							refused = refused || err != nil
							select {
							case <-stop:
								return
							default:
							}
						}
					})
				}
				if err := here.RevokeToken(ctx, "acme", token.ID); err != nil {
					t.Error(err)
				}
				_ = there.sync(ctx)
				for _, d := range []*Directory{here, there} {
					if _, err := d.Authenticate([]byte(plain), time.Now()); err == nil {
						t.Error("a revoked token works")
					}
				}
				close(stop)
				readers.Wait()
			}
		})
	}
	all.Wait()
}

func TestOutageIsNotA401(t *testing.T) {
	d := newDirectory(t)
	plain, _ := newToken(t, d, NewToken{})
	unknown := withChecksum("ok_" + strings.Repeat("0", 44))
	_ = d.db.Read.Close()
	if err := d.sync(ctx); err == nil {
		t.Fatal("the database still answers")
	}
	if _, err := d.Authenticate([]byte(plain), time.Now()); err != nil {
		t.Errorf("a known token stopped at once: %v", err)
	}
	if _, err := d.Authenticate([]byte(unknown), time.Now()); err != ErrUnavailable {
		t.Errorf("unknown token: %v", err)
	}
	if _, err := d.Authenticate([]byte("nonsense"), time.Now()); err != ErrInvalidToken {
		t.Errorf("malformed token: %v", err)
	}
	if _, err := d.Authenticate([]byte(plain), time.Now().Add(16*time.Minute)); err != ErrUnavailable {
		t.Errorf("a known token goes on for ever: %v", err)
	}
	if d.Ready() == nil || d.Stale() {
		t.Error("ready, or stale already, without a database")
	}
}

func TestEnsureTokenIsTheSameForItsSeed(t *testing.T) {
	d := newDirectory(t)
	seed := bytes.Repeat([]byte("seed"), TokenSeedBytes/4)
	first, token, err := d.EnsureToken(ctx, "acme", seed, NewToken{Label: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := d.EnsureToken(ctx, "acme", seed, NewToken{Label: "dev"})
	if err != nil || first != second {
		t.Errorf("%v", err)
	}
	if tokens, _ := d.Tokens(ctx, "acme", TokenPlace{}, 1000); len(tokens) != 1 {
		t.Errorf("%d tokens", len(tokens))
	}
	_ = d.RevokeToken(ctx, "acme", token.ID)
	if _, _, err := d.EnsureToken(ctx, "acme", seed, NewToken{Label: "dev"}); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a revoked token was ensured: %v", err)
	}
	// Nor when the revocation is long past and the directory was opened again.
	if _, err := d.db.Write.ExecContext(ctx, "UPDATE tokens SET revoked_at = 1"); err != nil {
		t.Fatal(err)
	}
	again, err := Open(ctx, d.db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, _, err := again.EnsureToken(ctx, "acme", seed, NewToken{Label: "dev"}); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a token that was revoked long ago was ensured: %v", err)
	}
}

func TestCredentialIsFoundByLabel(t *testing.T) {
	d := newDirectory(t)
	put := func(provider, label string) string {
		t.Helper()
		id, err := d.CredentialID("acme", provider, label)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.PutCredential(ctx, Credential{ID: id, TenantID: "acme", Provider: provider, Label: label, Sealed: "s"}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	find := func(provider, label string) (string, error) {
		tenant, _ := d.Tenant("acme")
		c, err := tenant.Credential(provider, label)
		if err != nil {
			return "", err
		}
		return c.ID, nil
	}
	team := put("groq", "team")
	if id, err := find("groq", ""); err != nil || id != team {
		t.Errorf("the only one: %v", err)
	}
	put("groq", "other")
	if _, err := find("groq", ""); err != ErrAmbiguous {
		t.Errorf("two without a default: %v", err)
	}
	byDefault := put("groq", "default")
	if id, err := find("groq", ""); err != nil || id != byDefault {
		t.Errorf("the default: %v", err)
	}
	if again := put("groq", "default"); again != byDefault {
		t.Error("a replaced credential changed its id")
	}
	if _, err := find("groq", "absent"); err != ErrNotFound {
		t.Errorf("absent label: %v", err)
	}
	if err := d.DeleteCredential(ctx, "acme", "groq", "default"); err != nil {
		t.Fatal(err)
	}
	if _, err := find("groq", "default"); err != ErrNotFound {
		t.Errorf("deleted: %v", err)
	}
	if next := put("groq", "default"); next == byDefault {
		t.Error("a new credential took the id of a deleted one")
	}
	tenant, _ := d.Tenant("acme")
	if p := tenant.Route([]byte("any")); p != "groq" {
		t.Errorf("the only provider is not the default: %q", p)
	}
	put("openai", "default")
	tenant, _ = d.Tenant("acme")
	if p := tenant.Route([]byte("any")); p != "" {
		t.Errorf("one of two providers was taken: %q", p)
	}
}

func TestBadRowsAreRefused(t *testing.T) {
	d := newDirectory(t)
	f := func(field string, err error) {
		t.Helper()
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("got %v, want a complaint about %s", err, field)
		}
	}
	_, err := d.CreateTenant(ctx, "Acme Inc", "")
	f("id", err)
	if _, err = d.CreateTenant(ctx, "acme", ""); !errors.Is(err, ErrExists) {
		t.Errorf("twice: %v", err)
	}
	_, _, err = d.CreateToken(ctx, "acme", NewToken{Label: "a\r\nb"})
	f("label", err)
	_, _, err = d.CreateToken(ctx, "acme", NewToken{Label: "a", Scopes: []string{"admin"}})
	f("scopes[0]", err)
	_, _, err = d.CreateToken(ctx, "acme", NewToken{Label: "a", ExpiresAt: time.Now().Add(-time.Hour)})
	f("expires_at", err)
	_, _, err = d.CreateToken(ctx, "acme", NewToken{Label: "a", Memory: "maybe"})
	f("memory", err)
	_, err = d.CredentialID("acme", "Open AI", "default")
	f("provider", err)
	_, err = d.PutCredential(ctx, Credential{ID: "x", TenantID: "acme", Provider: "p", Label: "l", Organization: "a\r\nX: y"})
	f("organization", err)
	routes := []Route{{"a b", "groq"}}
	_, err = d.UpdateTenant(ctx, "acme", TenantChange{Routes: &routes})
	f("routes[0].model", err)
	if _, _, err := d.CreateToken(ctx, "nobody", NewToken{Label: "a"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("token of nobody: %v", err)
	}
}

func TestLifetimeIsRemembered(t *testing.T) {
	d := newDirectory(t)
	created, deleted, err := d.Lifetime(ctx, "acme")
	if err != nil || time.Since(created).Abs() > time.Minute || !deleted.IsZero() {
		t.Errorf("%s, %s, %v", created, deleted, err)
	}
	if err := d.DeleteTenant(ctx, "acme", false); err != nil {
		t.Fatal(err)
	}
	if again, deleted, err := d.Lifetime(ctx, "acme"); err != nil || !again.Equal(created) || deleted.Before(created) {
		t.Errorf("%s, %s, %v", again, deleted, err)
	}
	if _, _, err := d.Lifetime(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAuthenticateDoesNotAllocate(t *testing.T) {
	d := newDirectory(t)
	plain, _ := newToken(t, d, NewToken{})
	presented, now := []byte(plain), time.Now()
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Authenticate(presented, now) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	d := newDirectory(b)
	plain, _ := newToken(b, d, NewToken{})
	presented, now := []byte(plain), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Authenticate(presented, now); err != nil {
			b.Fatal(err)
		}
	}
}
