package directory

import (
	"errors"
	"testing"
	"time"
)

// TestCallerOfIsTheTokensTenant: work that goes on for a token is done for its own
// tenant, as long as the token can be used.
func TestCallerOfIsTheTokensTenant(t *testing.T) {
	d, now := newDirectory(t), time.Now()
	if _, err := d.CreateTenant(ctx, "other", "Other"); err != nil {
		t.Fatal(err)
	}
	_, token := newToken(t, d, NewToken{ExpiresAt: now.Add(time.Hour)})
	look := func(tenant, id string, at time.Time, want error) {
		t.Helper()
		c, err := d.CallerOf(tenant, id, at)
		if !errors.Is(err, want) {
			t.Errorf("%s, %q: %v, want %v", tenant, id, err, want)
		}
		if want == nil && (c.Tenant.ID != tenant || (c.Token == nil) != (id == "")) || want != nil && (c.Tenant != nil || c.Token != nil) {
			t.Errorf("%s, %q: %+v", tenant, id, c)
		}
	}
	look("acme", token.ID, now, nil)
	look("acme", "", now, nil)
	look("other", "", now, nil)
	look("other", token.ID, now, ErrInvalidToken)
	look("nobody", token.ID, now, ErrNotFound)
	look("nobody", "", now, ErrNotFound)
	look("acme", token.ID+"x", now, ErrInvalidToken)
	look("acme", "x", now, ErrInvalidToken)
	look("acme", token.ID, now.Add(2*time.Hour), ErrInvalidToken)
	if err := d.RevokeToken(ctx, "acme", token.ID); err != nil {
		t.Fatal(err)
	}
	look("acme", token.ID, now, ErrInvalidToken)
}

// TestCredentialsThatATokenMayUse: without a label, the only one that it may use is
// meant; what it may not use is another error than what there is none of.
func TestCredentialsThatATokenMayUse(t *testing.T) {
	d := newDirectory(t)
	put(t, d, "openai", "default", "a")
	put(t, d, "openai", "team-a", "b")
	tenant, err := d.Tenant("acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		may, provider, label, want string
		err                        error
	}{
		{"team-*", "openai", "team-a", "team-a", nil},
		{"team-*", "openai", "", "team-a", nil},
		{"*", "openai", "", "default", nil},
		{"team-*", "openai", "default", "", ErrNotAllowed},
		{"team-*", "openai", "team-b", "", ErrNotFound},
		{"team-*", "groq", "", "", ErrNotFound},
		{"nothing", "openai", "", "", ErrNotAllowed},
	} {
		_, token := newToken(t, d, NewToken{Credentials: []string{f.may}})
		got, err := Caller{tenant, token}.Credential(f.provider, f.label)
		if !errors.Is(err, f.err) || got == nil != (f.err != nil) || got != nil && got.Label != f.want {
			t.Errorf("a token of %s asks for %s %q: %+v, %v; want %q, %v", f.may, f.provider, f.label, got, err, f.want, f.err)
		}
	}
	if all, err := d.Credentials("acme"); err != nil || len(all) != 2 {
		t.Errorf("%d credentials, %v", len(all), err)
	}
	if _, err := d.Credentials("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("credentials of nobody: %v", err)
	}
}
