package installation

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/db"
)

var ctx = context.Background()

func database(t *testing.T, name string) *db.DB {
	t.Helper()
	d, err := db.Open(ctx, filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func register(t *testing.T, d *db.DB) *Register {
	t.Helper()
	r, err := Open(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused checks that an error is a refusal that names the store and the way
// out.
func refused(t *testing.T, err error, store string) {
	t.Helper()
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), store) || !strings.Contains(err.Error(), "ownkey adopt --data DIR "+store) {
		t.Errorf("got %v, want a refusal of %s", err, store)
	}
}

func TestIdentityStays(t *testing.T) {
	main := database(t, "ownkey.db")
	first := register(t, main).ID()
	if again := register(t, main).ID(); again != first || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(first) {
		t.Errorf("%q, then %q", first, again)
	}
	if other := register(t, database(t, "ownkey.db")).ID(); other == first {
		t.Error("two installations have one identity")
	}
}

func TestDatabasesBelongTogether(t *testing.T) {
	main, usage := database(t, "ownkey.db"), database(t, "usage.db")
	for range 2 { // new, and known
		if err := register(t, main).Database(ctx, "usage.db", usage); err != nil {
			t.Fatal(err)
		}
	}
	empty := database(t, "usage.db")
	refused(t, register(t, main).Database(ctx, "usage.db", empty), "usage.db")
	refused(t, register(t, main).Database(ctx, "usage.db", empty), "usage.db") // and again: a refusal marks nothing
	foreign := database(t, "usage.db")
	if err := register(t, database(t, "ownkey.db")).Database(ctx, "usage.db", foreign); err != nil {
		t.Fatal(err)
	}
	refused(t, register(t, main).Database(ctx, "usage.db", foreign), "usage.db")
	refused(t, register(t, main).Database(ctx, "memory.db", foreign), "memory.db") // also one that it has not seen
	lost := register(t, database(t, "ownkey.db"))
	refused(t, lost.Database(ctx, "usage.db", usage), "usage.db") // the main one was made anew

	for _, d := range []*db.DB{empty, foreign, usage} {
		r := register(t, main)
		if err := r.Adopt(ctx, "usage.db", d); err != nil {
			t.Fatal(err)
		}
		if err := r.Database(ctx, "usage.db", d); err != nil {
			t.Errorf("adopted: %v", err)
		}
	}
}

func TestPartsWithTheirOwnIdentity(t *testing.T) {
	r := register(t, database(t, "ownkey.db"))
	for range 2 {
		if err := r.Part(ctx, "ledger", "a"); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, r.Part(ctx, "ledger", "b"), "ledger")
	if err := errors.Join(r.Adopt(ctx, "ledger", nil), r.Part(ctx, "ledger", "b")); err != nil {
		t.Error(err)
	}
	refused(t, r.Part(ctx, "ledger", "a"), "ledger")
}

// TestKeysOfAnotherInstallation: versions come and go, and a file of other keys
// is not taken for one of ours.
func TestKeysOfAnotherInstallation(t *testing.T) {
	r := register(t, database(t, "ownkey.db"))
	for what, c := range []struct {
		digests map[int]string
		taken   bool
	}{
		{map[int]string{1: "a"}, true},
		{map[int]string{1: "b"}, false},
		{map[int]string{2: "b"}, false},
		{map[int]string{1: "a", 2: "c"}, true}, // rotated
		{map[int]string{2: "c"}, true},         // the old line is out of the file
		{map[int]string{2: "d"}, false},
		{map[int]string{2: "c", 1: "b"}, false},
		{map[int]string{2: "c", 3: "e"}, true},
		{map[int]string{}, false},
	} {
		err := r.Keys(ctx, c.digests)
		if c.taken && err != nil {
			t.Errorf("%d: %v", what, err)
		}
		if !c.taken {
			refused(t, err, "keyring")
		}
	}
	other := map[int]string{1: "x"}
	if err := errors.Join(r.Adopt(ctx, Keyring, nil), r.Keys(ctx, other)); err != nil {
		t.Error(err)
	}
}

// TestRemoteStores: every state that a store elsewhere can be found in, by what
// is known of it here.
func TestRemoteStores(t *testing.T) {
	const other = "0123456789abcdef"
	for what, c := range map[string]struct {
		known  string // the mark it was seen with; empty for none
		found  Remote // with "us" for our own id
		why    string // it is refused; empty for taken
		claims bool
	}{
		"new":                                {"", Remote{"a", "", false}, "", true},
		"new, with records of this gateway":  {"", Remote{"a", "us", false}, "", false},
		"known":                              {"a", Remote{"a", "us", false}, "", false},
		"known, claimed by nobody":           {"a", Remote{"a", "", true}, "", true}, // of a program before the table was there
		"known, and taken by another":        {"a", Remote{"a", other, true}, "belongs to installation " + other, true},
		"known, and made anew":               {"a", Remote{"b", "", false}, "another one than since", true},
		"known, another one of ours":         {"a", Remote{"b", "us", false}, "another one than since", false},
		"full, of another":                   {"", Remote{"a", other, true}, "belongs to installation " + other, true},
		"empty, of another":                  {"", Remote{"a", other, false}, "belongs to installation " + other, true},
		"full, claimed by nobody, never met": {"", Remote{"a", "", true}, "has records of another gateway", true},
	} {
		r := register(t, database(t, "ownkey.db"))
		claims := 0
		look := func(found Remote) error {
			if found.Owner == "us" {
				found.Owner = r.ID()
			}
			return r.Remote(ctx, "clickhouse", found, func(_ context.Context, id string) error {
				if claims++; id != r.ID() {
					t.Errorf("%s: claimed for %s", what, id)
				}
				return nil
			})
		}
		if c.known != "" {
			if err := look(Remote{c.known, "us", false}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // a refusal changes nothing, nor does a second start
			switch err := look(c.found); {
			case c.why == "" && err != nil:
				t.Errorf("%s: %v", what, err)
			case c.why != "":
				refused(t, err, "clickhouse")
				if err != nil && !strings.Contains(err.Error(), c.why) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if claims > 0 && c.why == "" {
				c.found.Owner = "us"
			}
		}
		if c.why != "" && claims > 0 {
			t.Errorf("%s: refused, and claimed", what)
		}
		if err := r.AdoptRemote(ctx, "clickhouse"); err != nil {
			t.Fatal(err)
		}
		claims = 0
		if err := look(c.found); err != nil || (claims == 1) != (c.claims && c.found.Owner != "us") {
			t.Errorf("%s, adopted: %v, %d claims", what, err, claims)
		}
		if err := look(Remote{"z", other, true}); err == nil {
			t.Errorf("%s: adopted more than once", what)
		}
	}
}
