package directory

import (
	"errors"
	"testing"
)

// TestStoredOriginsThatAreNoneOpenNothing: a token whose ranges cannot be read is
// not given as one without ranges.
func TestStoredOriginsThatAreNoneOpenNothing(t *testing.T) {
	for _, stored := range []string{`["nonsense"]`, `["10.0.0.0/8","nonsense"]`} {
		d := newDirectory(t)
		_, token := newToken(t, d, NewToken{AllowFrom: []string{"10.0.0.0/8"}})
		if !token.BoundToAddresses() {
			t.Errorf("%+v", token)
		}
		if _, err := d.db.Write.ExecContext(ctx, "UPDATE tokens SET allow_from = ? WHERE id = ?", stored, token.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Token(ctx, "acme", token.ID); !refusesField(err, "allow_from") {
			t.Errorf("%s: %+v, %v", stored, got, err)
		}
	}
	d := newDirectory(t)
	if _, token := newToken(t, d, NewToken{}); token.BoundToAddresses() {
		t.Errorf("%+v", token)
	}
}

// TestTokenIsItsTenantsOnly: another tenant's is one that is not there.
func TestTokenIsItsTenantsOnly(t *testing.T) {
	d := newDirectory(t)
	_, token := newToken(t, d, NewToken{})
	if _, err := d.CreateTenant(ctx, "other", ""); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		tenant, id string
		want       error
	}{{"acme", token.ID, nil}, {"other", token.ID, ErrNotFound}, {"acme", "nothing", ErrNotFound}} {
		if got, err := d.Token(ctx, f.tenant, f.id); !errors.Is(err, f.want) || (err == nil) != (got != nil) {
			t.Errorf("%s of %s: %+v, %v", f.id, f.tenant, got, err)
		}
	}
}

// TestWallsAreNotLeftOut: a token with walls does not lose them by an empty name.
func TestWallsAreNotLeftOut(t *testing.T) {
	d := newDirectory(t)
	_, token := newToken(t, d, NewToken{Bucket: "wall"})
	empty, another := "", "another"
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Bucket: &empty}); !refusesField(err, "bucket") {
		t.Errorf("%v", err)
	}
	if got, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Bucket: &another}); err != nil || got.Bucket != another || got.ReadsBucket("wall") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDefaultProviderIsANameOrNone: an empty one takes it back.
func TestDefaultProviderIsANameOrNone(t *testing.T) {
	d := newDirectory(t)
	newToken(t, d, NewToken{}) // and its tenant
	d.SetProviders(nil)
	for _, f := range []struct {
		name string
		ok   bool
	}{{"openai", true}, {"Open AI", false}, {"", true}} {
		got, err := d.UpdateTenant(ctx, "acme", TenantChange{DefaultProvider: &f.name})
		if f.ok != (err == nil) || f.ok && got.DefaultProvider != f.name || !f.ok && !refusesField(err, "default_provider") {
			t.Errorf("%q: %+v, %v", f.name, got, err)
		}
	}
}
