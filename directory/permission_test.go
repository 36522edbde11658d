package directory

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// TestAllowsModel: an entry with a provider means that provider's models.
func TestAllowsModel(t *testing.T) {
	known := map[string]bool{"openai": true, "openrouter": true, "groq": true}
	f := func(list []string, provider, model string, want bool) {
		t.Helper()
		d := Directory{}
		d.providers.Store(&known)
		one := Token{Models: list, ofProvider: d.ofProvider(list)}
		if got := one.AllowsModel(provider, []byte(model)); got != want {
			t.Errorf("%q allows %s of %s: %v", list, model, provider, got)
		}
	}
	f([]string{"openai/*"}, "openai", "gpt-4o", true)
	f([]string{"openai/*"}, "openrouter", "openai/gpt-4o", false)
	f([]string{"openai/gpt-4o"}, "openrouter", "openai/gpt-4o", false)
	f([]string{"openai/gpt-4o"}, "openai", "openai/gpt-4o", false)
	f([]string{"openrouter/openai/*"}, "openrouter", "openai/gpt-4o", true)
	f([]string{"openrouter/openai/*"}, "openai", "gpt-4o", false)
	f([]string{"gpt-4o*"}, "groq", "gpt-4o-mini", true)
	f([]string{"gpt-4o"}, "openai", "gpt-4o-mini", false)
	f([]string{"meta-llama/*"}, "groq", "meta-llama/llama-4", true) // no provider is called so
	f([]string{"meta-llama/*"}, "openai", "gpt-4o", false)
	f([]string{"o3", "groq/llama-3"}, "groq", "llama-3", true)
	f([]string{"o3", "groq/llama-3"}, "openai", "llama-3", false)
	f([]string{"*"}, "openrouter", "openai/gpt-4o", true)
}

// TestListsThatAreLeftOut are all of their kind; empty ones are refused.
func TestListsThatAreLeftOut(t *testing.T) {
	d := newDirectory(t)
	for _, n := range []NewToken{{Label: "a"}, {Label: "b", Scopes: []string{All}, Models: []string{All}, Credentials: []string{All}}} {
		_, token, err := d.CreateToken(ctx, "acme", n)
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range []string{ScopeInference, ScopeMemory, ScopeUsage} {
			if !token.AllowsScope(scope) {
				t.Errorf("%+v: scope %s is missing", n, scope)
			}
		}
		if token.AllowsScope("manage") || token.AllowsScope("") {
			t.Error("all scopes are more than there are")
		}
		if token.Listed() || !token.AllowsModel("x", []byte("y")) || !token.AllowsCredential("any") || !token.ReadsBucket("any") || !token.WritesBucket("any") {
			t.Errorf("%+v: %+v", n, token)
		}
	}
	_, narrow, err := d.CreateToken(ctx, "acme", NewToken{Label: "c", Models: []string{"gpt-*"}})
	if err != nil {
		t.Fatal(err)
	}
	f := func(field string, err error) {
		t.Helper()
		if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Field != field {
			t.Errorf("got %v, want an error of %s", err, field)
		}
	}
	none := []string{}
	for field, n := range map[string]NewToken{
		"scopes": {Label: "x", Scopes: none}, "models": {Label: "x", Models: none}, "credentials": {Label: "x", Credentials: none},
		"scopes[1]": {Label: "x", Scopes: []string{"usage", "manage"}}, "models[0]": {Label: "x", Models: []string{""}},
		"endpoints":       {Label: "x", Endpoints: []string{"/v1/files"}}, // without a list of models
		"endpoints[0]":    {Label: "x", Models: []string{"m"}, Endpoints: []string{"files"}},
		"credentials[0]":  {Label: "x", Credentials: []string{"a*b"}},
		"bucket":          {Label: "x", Bucket: "a//b"},
		"buckets.write":   {Label: "x", Buckets: &Buckets{Read: []string{"a"}}},
		"buckets.read[0]": {Label: "x", Buckets: &Buckets{Read: []string{"../a"}, Write: none}},
		"memory":          {Label: "x", Memory: "always"},
	} {
		_, _, err := d.CreateToken(ctx, "acme", n)
		f(field, err)
	}
	for field, c := range map[string]TokenChange{"scopes": {Scopes: &none}, "models": {Models: &none}, "credentials": {Credentials: &none}} {
		_, err := d.UpdateToken(ctx, "acme", narrow.ID, c)
		f(field, err)
	}
	var id tokenID
	copy(id[:], narrow.ID)
	if held, ok := d.tokens.Load(id); !ok || !held.Listed() || held.AllowsModel("x", []byte("o3")) {
		t.Errorf("a refused change has changed the token: %+v", held)
	}
}

// TestBucketsOfATokenAreAWall: reading and writing apart, with the scope memory
// and without.
func TestBucketsOfATokenAreAWall(t *testing.T) {
	d := newDirectory(t)
	inference := []string{ScopeInference}
	for _, f := range []struct {
		name   string
		n      NewToken
		own    string
		reads  map[string]bool
		writes map[string]bool
	}{
		{"no wall", NewToken{}, "default", map[string]bool{"default": true, "x": true}, map[string]bool{"default": true, "x": true}},
		{"no wall, no scope", NewToken{Scopes: inference}, "default", map[string]bool{"default": true, "x": false}, map[string]bool{"default": true, "x": false}},
		{"a name", NewToken{Bucket: "team-a"}, "team-a", map[string]bool{"team-a": true, "team-ab": false, "default": false}, map[string]bool{"team-a": true, "team": false}},
		{"a name, no scope", NewToken{Bucket: "team-a", Scopes: inference}, "team-a", map[string]bool{"team-a": true, "default": false}, map[string]bool{"team-a": true, "x": false}},
		{"a pattern", NewToken{Bucket: "team/*"}, "", map[string]bool{"team/a": true, "team": false, "default": false}, map[string]bool{"team/a/b": true, "teams": false}},
		{"a pattern with default", NewToken{Bucket: "de*"}, "default", map[string]bool{"default": true, "x": false}, map[string]bool{"dev": true, "x": false}},
		{"apart", NewToken{Bucket: "mine", Buckets: &Buckets{Read: []string{"mine", "shared*"}}}, "mine", map[string]bool{"mine": true, "shared-1": true, "x": false}, map[string]bool{"mine": true, "shared-1": false}},
		{"only reading", NewToken{Buckets: &Buckets{Read: []string{"*"}, Write: []string{}}}, "default", map[string]bool{"x": true}, map[string]bool{"x": false, "default": false}},
		{"only writing", NewToken{Buckets: &Buckets{Read: []string{}, Write: []string{"in"}}}, "", map[string]bool{"in": false}, map[string]bool{"in": true, "x": false}},
	} {
		_, token := newToken(t, d, f.n)
		if token.Bucket != f.own || token.Unconfined {
			t.Errorf("%s: works with %q, unconfined %v", f.name, token.Bucket, token.Unconfined)
		}
		for name, want := range f.reads {
			if token.ReadsBucket(name) != want {
				t.Errorf("%s: reads %s: %v", f.name, name, !want)
			}
		}
		for name, want := range f.writes {
			if token.WritesBucket(name) != want {
				t.Errorf("%s: writes %s: %v", f.name, name, !want)
			}
		}
	}
}

// authenticated is a token as calls see it.
func authenticated(t *testing.T, d *Directory, plain string) *Token {
	t.Helper()
	caller, err := d.Authenticate([]byte(plain), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return caller.Token
}

// beforeWalls opens a database as it was before buckets were walls, with a token
// without the scope memory and one without any list.
func beforeWalls(t *testing.T) (d *Directory, narrow, wide string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ownkey.db")
	database, err := db.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, name := range []string{"00001_create.sql", "00002_keyrings.sql", "00003_memory.sql", "00004_limits.sql"} {
		b, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		old[name] = &fstest.MapFile{Data: b}
	}
	if err := database.Migrate(ctx, old, "directory_migrations"); err != nil {
		t.Fatal(err)
	}
	run := func(statement string, values ...any) {
		t.Helper()
		if _, err := database.Write.ExecContext(ctx, statement, values...); err != nil {
			t.Fatal(err)
		}
	}
	run("INSERT INTO tenants (id, name, default_provider, routes, created_at, revision) VALUES ('acme', '', '', '[]', 1, 1)")
	for _, scopes := range []string{`["inference"]`, `[]`} {
		plain, err := mint(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := idOf([]byte(plain))
		digest := sha256.Sum256([]byte(plain))
		run("INSERT INTO tokens (id, tenant_id, label, digest, scopes, models, memory, bucket, created_at, expires_at, revision)"+
			" VALUES (?, 'acme', 'old', ?, ?, '[]', 'on', 'default', 1, 0, 1)", string(id[:]), digest[:], scopes)
		narrow, wide = wide, plain
	}
	run("UPDATE counter SET revision = 1")
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path), narrow, wide
}

// TestTokensFromBeforeKeepWhatTheyCouldDo: the migration writes empty lists as
// all, and leaves buckets open until somebody changes them.
func TestTokensFromBeforeKeepWhatTheyCouldDo(t *testing.T) {
	d, plain, wide := beforeWalls(t)
	if w := authenticated(t, d, wide); !slices.Equal(w.Scopes, []string{All}) || !slices.Equal(w.Models, []string{All}) || w.Listed() ||
		!w.AllowsScope(ScopeMemory) || !w.AllowsCredential("x") || w.AllowsScope("manage") {
		t.Errorf("a token without lists: %+v", w)
	}
	token := authenticated(t, d, plain)
	if token.AllowsScope(ScopeMemory) {
		t.Error("a scope came from nowhere")
	}
	old := authenticated(t, d, plain)
	if !old.Unconfined || !old.ReadsBucket("x") || !old.WritesBucket("y") {
		t.Errorf("a token from before: %+v", old)
	}
	models := []string{"gpt-4o"}
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Models: &models}); err != nil {
		t.Fatal(err)
	}
	if old = authenticated(t, d, plain); !old.Unconfined || old.AllowsModel("openai", []byte("o3")) {
		t.Errorf("after another change: %+v", old)
	}
	bucket := "team-a"
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	if old = authenticated(t, d, plain); old.Unconfined || old.ReadsBucket("x") || !old.WritesBucket("team-a") {
		t.Errorf("after it was confined: %+v", old)
	}
	reads := Buckets{Read: []string{"team-*"}}
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Buckets: &reads}); err != nil {
		t.Fatal(err)
	}
	if old = authenticated(t, d, plain); old.Bucket != "team-a" || !old.ReadsBucket("team-b") || old.WritesBucket("team-b") {
		t.Errorf("after reading was widened: %+v", old)
	}
}

// TestPermissionAlloc: what a call is judged by takes no memory.
func TestPermissionAlloc(t *testing.T) {
	d := newDirectory(t)
	_, token := newToken(t, d, NewToken{
		Scopes: []string{ScopeInference, ScopeMemory}, Models: []string{"openai/*", "gpt-*", "meta-llama/llama-*"}, Endpoints: []string{"/v1/files/*"}, Credentials: []string{"a", "b*"}, Bucket: "team-*",
	})
	model, path := []byte("gpt-4o"), []byte("/files/x")
	if n := testing.AllocsPerRun(100, func() {
		if !token.AllowsScope(ScopeMemory) || !token.Listed() || !token.AllowsModel("groq", model) || !token.AllowsEndpoint(path) || !token.AllowsCredential("bc") ||
			!token.ReadsBucket("team-a") || !token.WritesBucket("team-b") {
			t.Fatal("not allowed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRoutesNeedAProvider: a route, or a default, to a provider that is in no
// table is refused when it is stored.
func TestRoutesNeedAProvider(t *testing.T) {
	d := newDirectory(t)
	d.SetProviders([]string{"openai"})
	nobody := "nobody"
	for field, c := range map[string]TenantChange{
		"routes[1].provider": {Routes: &[]Route{{"a", "openai"}, {"b", "nobody"}}},
		"default_provider":   {DefaultProvider: &nobody},
	} {
		_, err := d.UpdateTenant(ctx, "acme", c)
		if invalid, ok := errors.AsType[*InvalidError](err); !ok || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := d.UpdateTenant(ctx, "acme", TenantChange{Routes: &[]Route{{"a", "openai"}}}); err != nil {
		t.Error(err)
	}
}

// TestSetProviders: entries of tokens that are loaded mean the providers that
// there are from then on.
func TestSetProviders(t *testing.T) {
	d := newDirectory(t)
	d.SetProviders([]string{"openrouter"})
	plain, _ := newToken(t, d, NewToken{Models: []string{"groq/*"}})
	allows := func(want bool) {
		t.Helper()
		c, err := d.Authenticate([]byte(plain), time.Now())
		if err != nil || c.Token.AllowsModel("openrouter", []byte("groq/llama")) != want || !c.Token.AllowsModel("groq", []byte("llama")) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	allows(true) // no provider is called so
	d.SetProviders([]string{"openrouter", "groq"})
	allows(false)
	d.SetProviders([]string{"openrouter"})
	allows(true)
}
