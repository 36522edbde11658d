package directory

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
)

// TestChangesOfStaleReplicasAreAllApplied: two processes change one tenant, and
// one token, without having heard of each other's changes. Each member that
// either of them has changed stays changed.
func TestChangesOfStaleReplicasAreAllApplied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	one, other := open(t, path), open(t, path)
	ctx := context.Background()
	if _, err := one.CreateTenant(ctx, "acme", "before"); err != nil {
		t.Fatal(err)
	}
	_, token, err := one.CreateToken(ctx, "acme", NewToken{Label: "t"})
	if err != nil {
		t.Fatal(err)
	}
	name, provider, model, yes, rate, count := "after", "groq", "gpt-4o", true, 0.5, int64(7)
	routes := []Route{{Model: "m*", Provider: "openai"}}
	changes := []TenantChange{
		{Name: &name},
		{DefaultProvider: &provider},
		{Routes: &routes},
		{Memory: &MemoryChange{Embeddings: &model}},
		{Memory: &MemoryChange{Extraction: &model}},
		{Memory: &MemoryChange{Synthesis: &model}},
		{Memory: &MemoryChange{CaptureAssistant: &yes}},
		{Limits: &LimitsChange{RequestsPerSecond: &rate}},
		{Limits: &LimitsChange{TokensPerMinute: &count}},
		{Limits: &LimitsChange{RequestsInFlight: &count}},
		{Limits: &LimitsChange{Streams: &count}},
		{Limits: &LimitsChange{BodyBytes: &count}},
		{Limits: &LimitsChange{TokensPerDay: &count}},
		{Limits: &LimitsChange{TokensPerMonth: &count}},
	}
	var all sync.WaitGroup
	for i, c := range changes {
		d := []*Directory{one, other}[i%2]
		all.Go(func() {
			if _, err := d.UpdateTenant(ctx, "acme", c); err != nil {
				t.Error(err)
			}
			if c.Limits == nil {
				return
			}
			if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Limits: c.Limits}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	limits := Limits{rate, count, count, count, count, count, count}
	memory := MemorySettings{model, model, model, true}
	for _, d := range []*Directory{one, other} {
		if err := d.sync(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := d.Tenant("acme")
		if err != nil || got.Name != name || got.DefaultProvider != provider || !reflect.DeepEqual(got.Routes, routes) || got.Memory != memory || got.Limits != limits {
			t.Errorf("tenant: %+v, %v", got, err)
		}
		held, err := d.Token(ctx, "acme", token.ID)
		if err != nil || held.Limits != limits {
			t.Errorf("token: %+v, %v", held, err)
		}
	}
}

// TestSecretsAreStoredUnderTheIdTheyWereSealedFor: two processes store the same
// credential for the first time. The later one learns that its id is not the
// one, and has another try.
func TestSecretsAreStoredUnderTheIdTheyWereSealedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ownkey.db")
	one, other := open(t, path), open(t, path)
	ctx := context.Background()
	if _, err := one.CreateTenant(ctx, "acme", ""); err != nil {
		t.Fatal(err)
	}
	if err := other.sync(ctx); err != nil {
		t.Fatal(err)
	}
	put := func(d *Directory, id, sealed string) error {
		_, err := d.PutCredential(ctx, Credential{ID: id, TenantID: "acme", Provider: "openai", Label: "default", Host: "h:443", Sealed: sealed, Fingerprint: sealed, Keyring: "local", KeyVersion: 1})
		return err
	}
	first, err := one.CredentialID("acme", "openai", "default")
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.CredentialID("acme", "openai", "default")
	if err != nil {
		t.Fatal(err)
	}
	if err := put(one, first, "a"); err != nil {
		t.Fatal(err)
	}
	if err := put(other, second, "b"); !errors.Is(err, ErrChanged) {
		t.Errorf("a second id of one name: %v", err)
	}
	if again, err := other.CredentialID("acme", "openai", "default"); err != nil || again != first {
		t.Errorf("the next try is for %s, %v; want %s", again, err, first)
	}
	if err := one.DeleteCredential(ctx, "acme", "openai", "default"); err != nil {
		t.Fatal(err)
	}
	if err := put(other, first, "c"); !errors.Is(err, ErrChanged) {
		t.Errorf("a deleted id: %v", err)
	}
	if again, err := other.CredentialID("acme", "openai", "default"); err != nil || again == first {
		t.Errorf("the next try is for %s again, %v", again, err)
	}
}
