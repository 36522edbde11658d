package directory

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// Where a token's calls may come from is stored, changed and followed; a token
// without a list may be used anywhere, and one with a list nowhere that is not
// known.
func TestOriginsOfTokens(t *testing.T) {
	d := newDirectory(t)
	plain, token := newToken(t, d, NewToken{AllowFrom: []string{"203.0.113.0/24", "2001:db8::7"}})
	free, _ := newToken(t, d, NewToken{})
	f := func(plain, address string, want bool) {
		t.Helper()
		var a netip.Addr
		if address != "" {
			a = netip.MustParseAddr(address)
		}
		held := authenticated(t, d, plain)
		if got := held.AllowsAddress(a); got != want || !held.BoundToAddresses() && !want {
			t.Errorf("%v allows %q: %v", held.AllowFrom, address, got)
		}
	}
	for address, want := range map[string]bool{
		"203.0.113.9": true, "::ffff:203.0.113.9": true, "203.0.114.9": false, "2001:db8::7": true, "2001:db8::8": false, "": false,
	} {
		f(plain, address, want)
		f(free, address, true)
	}
	list := []string{"198.51.100.1"}
	if got, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{AllowFrom: &list}); err != nil || !slices.Equal(got.AllowFrom, list) {
		t.Fatalf("%+v, %v", got, err)
	}
	f(plain, "203.0.113.9", false)
	f(plain, "198.51.100.1", true)
	models := []string{"gpt-*"}
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{Models: &models}); err != nil {
		t.Fatal(err)
	}
	f(plain, "203.0.113.9", false) // another change leaves it
	for _, bad := range []string{"10.1.2.3/8", "host.example", "", "*"} {
		list := []string{"10.0.0.0/8", bad}
		var invalid *InvalidError
		if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{AllowFrom: &list}); !errors.As(err, &invalid) || invalid.Field != "allow_from[1]" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	none := []string{}
	if _, err := d.UpdateToken(ctx, "acme", token.ID, TokenChange{AllowFrom: &none}); err != nil {
		t.Fatal(err)
	}
	f(plain, "", true)
	if n := testing.AllocsPerRun(100, func() { token.AllowsAddress(netip.Addr{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
