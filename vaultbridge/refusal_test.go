package vaultbridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// refusing is a double of Vault that takes one secret id and counts the others.
func refusing(t *testing.T) (d *double, refused *atomic.Int64) {
	refused = &atomic.Int64{}
	return newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		switch {
		case r.URL.Path != loginPath:
			http.Error(w, `{"errors":[]}`, http.StatusInternalServerError)
		case strings.Contains(body.String(), `"valid"`):
			handOutToken(w, r)
		default:
			refused.Add(1)
			http.Error(w, `{"errors":["invalid role or secret ID"]}`, http.StatusBadRequest)
		}
	}), refused
}

// TestRefusalOutlivesTheProcess: a gateway that is started again and again, and
// the commands beside it, present a refused secret id once.
func TestRefusalOutlivesTheProcess(t *testing.T) {
	d, refused := refusing(t)
	dir := filepath.Join(t.TempDir(), "data") // made at the first refusal
	starts := func(n int, change ...func(*TransitOptions)) (last *Transit) {
		for range n {
			k := d.keyring(append([]func(*TransitOptions){func(o *TransitOptions) { o.Refusals = dir }}, change...)...)
			k.Close()
			last = k
		}
		return last
	}
	want := func(what string, n int64) {
		t.Helper()
		if got := refused.Load(); got != n {
			t.Errorf("%s: %d logins were refused, want %d", what, got, n)
		}
	}
	k := starts(7)
	want("seven starts, two identities", 2)
	if err := k.data.loggedIn(); reasonOf(err) != ReasonRefused || !strings.Contains(err.Error(), filepath.Join(dir, "vault-refused-vault-data")) {
		t.Errorf("it says %v", err)
	}
	starts(2, func(o *TransitOptions) { o.Name, o.Admin = "before", Login{} })
	want("another keyring", 3)
	files, _ := filepath.Glob(filepath.Join(dir, RefusalPrefix+"*"))
	if len(files) != 3 {
		t.Errorf("%v", files)
	}
	plain := sha256.Sum256([]byte("role\nsecret"))
	contents := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		info, _ := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(content), "secret") || strings.Contains(string(content), hex.EncodeToString(plain[:])) {
			t.Errorf("%s, %v: %s %v", file, info.Mode(), content, err)
		}
		contents[string(content)] = true
	}
	if len(contents) != 3 {
		t.Error("the same secret id leaves the same trace: it can be guessed at")
	}
	d.write("ownkey-data.secret-id", "another")
	starts(3)
	want("another secret id", 4)
	d.write("ownkey-data.secret-id", "valid")
	if k := starts(1); k.data.loggedIn() != nil {
		t.Errorf("a valid one: %v", k.data.loggedIn())
	}
	want("a valid one", 4)
	d.write("ownkey-data.secret-id", "another") // a success has cleared the file
	starts(2)
	want("the one before, again", 5)
	if err := os.Remove(filepath.Join(dir, "vault-refused-vault-data")); err != nil {
		t.Fatal(err)
	}
	starts(2)
	want("the file was removed", 6)
}

// TestRefusalWithoutADirectory: where no file can be written, the process
// remembers by itself.
func TestRefusalWithoutADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file} {
		r := openRefusal(dir, "vault-data")
		one, other := ids{1}, ids{2}
		if r.holds(one) {
			t.Error("it knows of a refusal before one was")
		}
		r.keep(one)
		if !r.holds(one) || r.holds(other) || strings.Contains(r.error().Error(), "remove") {
			t.Errorf("%q: %v %v %v", dir, r.holds(one), r.holds(other), r.error())
		}
		r.forget()
		if r.holds(one) {
			t.Errorf("%q: it was forgotten", dir)
		}
	}
	kept := openRefusal(t.TempDir(), "vault-data")
	kept.keep(ids{1})
	if !kept.holds(ids{1}) || kept.holds(ids{2}) || !strings.Contains(kept.error().Error(), "remove "+kept.path) {
		t.Errorf("%+v says %v", kept, kept.error())
	}
	kept.forget()
	if _, err := os.Stat(kept.path); !os.IsNotExist(err) || kept.holds(ids{1}) {
		t.Errorf("its file after it was forgotten: %v", err)
	}
	for _, content := range []string{"", " ", "zz zz", "00", strings.Repeat("0", 64)} { // damaged: presented again
		dir := t.TempDir()
		r := openRefusal(dir, "vault-data")
		if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r.holds(ids{}) {
			t.Errorf("%q holds", content)
		}
	}
}

// TestRefusedSecretLocksNobodyOut: on a real Vault, which locks a role out after
// five refusals.
func TestRefusedSecretLocksNobodyOut(t *testing.T) {
	v := startVault(t, false)
	dir := t.TempDir()
	in := func(o *TransitOptions) { o.Refusals = dir }
	v.Script("vault write auth/approle/role/ownkey-data/secret-id/destroy secret_id=@ownkey-data.secret-id")
	for range 8 {
		k := v.keyring(in)
		k.Close()
		if err := k.data.loggedIn(); reasonOf(err) != ReasonRefused {
			t.Fatalf("%v", err)
		}
	}
	v.Script(SetupScript("transit", "unused"))
	k := v.keyring(in)
	if err := k.data.loggedIn(); err != nil {
		t.Fatalf("with a new secret id: %v", err)
	}
	roundTrip(t, k)
}

// TestEndOfASecretIDIsSeen: before it comes, in the metric and by doctor; and a
// new secret id is taken while the gateway runs, a wrong one costs no token.
func TestEndOfASecretIDIsSeen(t *testing.T) {
	v := startVault(t, false)
	metrics := prometheus.NewRegistry()
	k := v.keyring(func(o *TransitOptions) { o.Metrics = metrics; o.Name = "main" })
	b := roundTrip(t, k)
	shown := func(identity string) time.Time {
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "ownkey_vault_secret_id_not_after_timestamp_seconds" && strings.Contains(m.String(), `"`+identity+`"`) {
					return time.Unix(int64(m.GetGauge().GetValue()), 0)
				}
			}
		}
		return time.Time{}
	}
	finding := func() Finding {
		for _, f := range k.Examine(t.Context(), nil) {
			if strings.HasPrefix(f.Check, "data identity: secret id") || strings.HasPrefix(f.Check, "data identity: is logged in") {
				return f
			}
		}
		return Finding{}
	}
	for _, identity := range []string{"data", "admin"} {
		if off := time.Until(shown(identity)) - SecretIDLife; off.Abs() > time.Minute {
			t.Errorf("%s: off by %v", identity, off)
		}
	}
	if f := finding(); !f.OK || !strings.Contains(f.Detail, "days") {
		t.Errorf("%+v", f)
	}
	replace := func(ends time.Time) {
		v.Script(fmt.Sprintf(`vault write -field=secret_id auth/approle/role/ownkey-data/secret-id metadata='{"ends_at":"%d"}' > new && chmod 600 new && mv new ownkey-data.secret-id`, ends.Unix()))
	}
	soon := time.Now().Add(13 * 24 * time.Hour).Truncate(time.Second)
	held := k.data.client.Token()
	replace(soon)
	eventually(t, "the new secret id's end is shown", func() bool { return shown("data").Equal(soon) })
	eventually(t, "a new token is held", func() bool { return k.data.client.Token() != held })
	if f := finding(); f.OK || !strings.Contains(f.Detail, "in 12 days; run the script of ownkey vault policy again") {
		t.Errorf("%+v", f)
	}

	held = k.data.client.Token()
	v.write("ownkey-data.secret-id", "none-of-Vaults")
	eventually(t, "doctor finds a wrong one", func() bool { f := finding(); return !f.OK && strings.Contains(f.Detail, "refused: ") })
	mustOpen(t, k, b.Context, b.Blob)
	if k.data.client.Token() != held {
		t.Error("the token was given up for a secret id that is of no use")
	}
	late := time.Now().Add(50 * 24 * time.Hour).Truncate(time.Second)
	replace(late)
	eventually(t, "the next one is taken", func() bool { return shown("data").Equal(late) && finding().OK })
	mustOpen(t, k, b.Context, b.Blob)

	// One that was made otherwise: nothing is known, nothing is shown.
	v.Script("vault write -f -field=secret_id auth/approle/role/ownkey-data/secret-id > new && chmod 600 new && mv new ownkey-data.secret-id")
	eventually(t, "the gauge is gone", func() bool { return shown("data").IsZero() })
	if f := finding(); !f.OK || !strings.Contains(f.Detail, "not known") {
		t.Errorf("%+v", f)
	}
	if shown("admin").IsZero() {
		t.Error("the other identity's is gone as well")
	}
}
