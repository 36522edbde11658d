package vaultbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// available is the gauge, as it is scraped.
func available(t *testing.T, from prometheus.Gatherer) string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "ownkey_vault_available" {
			return fmt.Sprint(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return "none"
}

// TestReadinessIsKnownWithoutAsking: a thousand questions are none to Vault, and
// what changes there is known in a second or so, with nobody using it.
func TestReadinessIsKnownWithoutAsking(t *testing.T) {
	l := newLiar(t, time.Second, honest)
	if err := l.keyring.Ready(); err != nil || available(t, l.metrics) != "1" {
		t.Errorf("at once: %v, gauge %s", err, available(t, l.metrics))
	}
	probes, began := l.probes.Load(), time.Now()
	for range 1000 {
		_ = l.keyring.Ready()
	}
	if n, most := l.probes.Load()-probes, int64(2+time.Since(began)/(probeInterval/2)); n > most {
		t.Errorf("1000 questions were %d calls", n)
	}
	l.sealed.Store(true)
	eventually(t, "it is known that Vault is sealed", func() bool { return l.keyring.Ready() != nil })
	if err := l.keyring.Ready(); !errors.Is(err, ErrUnavailable) || reasonIn(err) != ReasonSealed || available(t, l.metrics) != "0" {
		t.Errorf("sealed: %v, gauge %s", err, available(t, l.metrics))
	}
	l.sealed.Store(false)
	eventually(t, "it is known that Vault is open", func() bool { return l.keyring.Ready() == nil && available(t, l.metrics) == "1" })
}

// TestVaultThatWasNeverReachedIsNotAvailable: nor is it ready.
func TestVaultThatWasNeverReachedIsNotAvailable(t *testing.T) {
	l := newLiar(t, time.Second, honest)
	l.Close()
	registry := prometheus.NewRegistry()
	k, err := NewTransit(context.Background(), TransitOptions{
		Name: "gone", Address: l.URL, Mount: "transit", Timeout: time.Second, Data: Login{Method: MethodTokenFile, TokenFile: l.token},
		Journal: func(Unsealing) {}, Notify: func(Event) {}, Metrics: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if k.Ready() == nil || available(t, registry) != "0" {
		t.Errorf("ready: %v, gauge %s", k.Ready(), available(t, registry))
	}
}

// TestDecryptsTellAtOnce: what a decrypt learns is known before the next probe,
// and a health that looks fine does not excuse a refusal.
func TestDecryptsTellAtOnce(t *testing.T) {
	var status atomic.Int64
	l := newLiar(t, time.Second, func(w http.ResponseWriter, r *http.Request, items []item) {
		if s := status.Load(); s != 0 {
			http.Error(w, `{"errors":["x"]}`, int(s))
			return
		}
		honest(w, r, items)
	})
	status.Store(http.StatusForbidden)
	if err := l.unseal(); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if err := l.keyring.Ready(); reasonIn(err) != ReasonDenied || available(t, l.metrics) != "0" {
		t.Errorf("after a refusal: %v, gauge %s", err, available(t, l.metrics))
	}
	probes := l.probes.Load()
	eventually(t, "two more probes", func() bool { return l.probes.Load() >= probes+2 })
	if err := l.keyring.Ready(); reasonIn(err) != ReasonDenied {
		t.Errorf("a probe has excused a refusal: %v", err)
	}
	status.Store(0)
	if err := l.unseal(); err != nil || l.keyring.Ready() != nil {
		t.Errorf("after a decrypt that went well: %v, %v", err, l.keyring.Ready())
	}
}

// TestRefusedSecretIsNotPresentedAgain: until its file has changed. Anything
// else would lock the role out.
func TestRefusedSecretIsNotPresentedAgain(t *testing.T) {
	var refused, taken atomic.Int64
	d := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != loginPath {
			http.Error(w, `{"errors":[]}`, http.StatusInternalServerError)
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		if strings.Contains(body.String(), `"valid"`) {
			taken.Add(1)
			handOutToken(w, r)
			return
		}
		refused.Add(1)
		http.Error(w, `{"errors":["invalid role or secret ID"]}`, http.StatusBadRequest)
	})
	k := d.keyring(func(o *TransitOptions) { o.Admin = Login{} })
	if err := k.data.loggedIn(); reasonOf(err) != ReasonRefused || !strings.Contains(err.Error(), "not presented again") {
		t.Fatalf("%v", err)
	}
	found := false
	for _, f := range k.Examine(t.Context(), nil) {
		found = found || !f.OK && strings.Contains(f.Detail, "refused: ")
	}
	if !found {
		t.Error("doctor does not tell")
	}
	for _, file := range []string{"ownkey-data.secret-id", "ownkey-data.role-id"} { // touched, and with the same content
		d.write(file, map[bool]string{true: "role", false: "secret"}[strings.Contains(file, "role")])
	}
	// Tries half a second, one and two seconds apart would have come before the
	// file is looked at again.
	began := time.Now()
	eventually(t, "four seconds", func() bool { return time.Since(began) > 4*time.Second })
	d.write("ownkey-data.secret-id", "valid")
	eventually(t, "the new secret id is taken", func() bool { return k.data.ready.Load() })
	if refused.Load() != 1 || taken.Load() != 1 {
		t.Errorf("%d logins were refused, %d taken", refused.Load(), taken.Load())
	}
	if err := k.data.loggedIn(); err != nil {
		t.Errorf("logged in, and %v", err)
	}
}

// TestLockedOutIsSaid: a role that is locked out is not tried every second, and
// doctor has the words for it.
func TestLockedOutIsSaid(t *testing.T) {
	var logins atomic.Int64
	d := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == loginPath {
			logins.Add(1)
		}
		http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
	})
	k := d.keyring(func(o *TransitOptions) { o.Admin = Login{} })
	said := ""
	for _, f := range k.Examine(t.Context(), nil) {
		if !f.OK && strings.Contains(f.Check, "logged in") {
			said = f.Detail
		}
	}
	if !strings.Contains(said, "locked out: Vault has locked the role out") || logins.Load() != 1 {
		t.Errorf("doctor says %q after %d logins", said, logins.Load())
	}
}

// TestDoctorComparesClocks.
func TestDoctorComparesClocks(t *testing.T) {
	for ahead, ok := range map[time.Duration]bool{0: true, time.Minute: false, -time.Hour: false} {
		l := newLiar(t, time.Second, honest)
		l.ahead = ahead
		if _, err := l.keyring.skew(t.Context()); (err == nil) != ok {
			t.Errorf("%v: %v", ahead, err)
		}
	}
}

// TestInstallationsShareNoKey: two installations on one Vault, with a tenant of
// the same name. What one rotates, retires and destroys is its own; rows from
// before open in both.
func TestInstallationsShareNoKey(t *testing.T) {
	v := startVault(t, false)
	ctx := context.Background()
	of := func(id string) *Transit { return v.keyring(func(o *TransitOptions) { o.Installation = id }) }
	before, a, b := of(""), of("a1"), of("b2")
	old := mustSeal(t, before, testContext, "sk-old")
	ofA, ofB := mustSeal(t, a, testContext, "sk-a"), mustSeal(t, b, testContext, "sk-b")
	if old.Key != "" || ofA.Key != "ownkey-a1.acme" || ofB.Key != "ownkey-b2.acme" || ofA.Fingerprint == "" {
		t.Errorf("keys %q, %q, %q", old.Key, ofA.Key, ofB.Key)
	}
	opens := func(k *Transit, s Sealed, want string) {
		t.Helper()
		c, err := k.Unseal(ctx, Bound{testContext, s.Blob, s.Key})
		if want == "" {
			if !errors.Is(err, ErrUnsealable) {
				t.Errorf("it opens, or %v", err)
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", want, err)
			return
		}
		c.Use(func(secret []byte) {
			if string(secret) != want {
				t.Errorf("opens to %q, want %q", secret, want)
			}
		})
	}
	for _, k := range []*Transit{a, b} {
		opens(k, old, "sk-old")
	}
	if _, err := a.Rotate(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	all, err := a.Rewrap(ctx, "acme", []Bound{{testContext, ofA.Blob, ofA.Key}})
	if err != nil || all[0].Key != ofA.Key || all[0].KeyVersion != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := a.Retire(ctx, "acme", 2); err != nil {
		t.Fatal(err)
	}
	opens(a, ofA, "")
	opens(a, all[0], "sk-a")
	opens(b, ofB, "sk-b")
	opens(b, old, "sk-old")
	if _, err := a.Rewrap(ctx, "acme", []Bound{{testContext, old.Blob, old.Key}}); !errors.Is(err, ErrUnsealable) {
		t.Errorf("a rewrap under another key: %v", err)
	}
	if err := a.Destroy(ctx, "acme", a.Key("acme")); err != nil {
		t.Fatal(err)
	}
	opens(a, all[0], "")
	opens(b, ofB, "sk-b")
	opens(b, old, "sk-old")
	if err := b.Destroy(ctx, "acme", b.Key("acme"), ""); err != nil {
		t.Fatal(err)
	}
	opens(b, old, "")
	for _, f := range of("c3").Examine(ctx, nil) { // the policies are as they were
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestKeyNames: what a row says is a key of its tenant, or none.
func TestKeyNames(t *testing.T) {
	for stored, want := range map[string]string{
		"": "ownkey-acme", "ownkey-a1.acme": "ownkey-a1.acme",
		"ownkey-a1.other": "", "ownkey-a1.x-acme": "", "ownkey-.acme": "", "ownkey-acme": "", "acme": "", "ownkey_fingerprint": "",
		"ownkey-a1/../x.acme": "", "ownkey-A1.acme": "", "ownkey-a1.b2.acme": "", "other-a1.acme": "", ".acme": "", "ownkey-a1.acme/x": "",
	} {
		if got, err := KeyName("acme", stored); got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrUnsealable) {
			t.Errorf("%q: %q, %v; want %q", stored, got, err, want)
		}
	}
}

// TestSecretIdsEnd: they have an end, and a setup that is run again ends the one
// before, so that one is left.
func TestSecretIdsEnd(t *testing.T) {
	v := startVault(t, false)
	read := func(name string) string { return strings.TrimSpace(v.Script("cat " + filepath.Join(v.Dir, name))) }
	for _, identity := range []string{"data", "admin"} {
		before := read("ownkey-" + identity + ".secret-id")
		count := func() int {
			return len(strings.Fields(v.Script("vault list -format=yaml auth/approle/role/ownkey-"+identity+"/secret-id"))) / 2
		}
		if n := count(); n != 1 {
			t.Errorf("%s: %d secret ids after the first setup", identity, n)
		}
		ttl := v.Script("vault write -field=secret_id_ttl auth/approle/role/ownkey-" + identity + "/secret-id/lookup secret_id=@ownkey-" + identity + ".secret-id")
		if strings.TrimSpace(ttl) != "7776000" {
			t.Errorf("%s: a secret id lives for %q seconds, want 90 days", identity, ttl)
		}
		role := "auth/approle/role/ownkey-" + identity
		if lives := v.Script("vault read -field=token_ttl " + role + "; echo; vault read -field=token_max_ttl " + role); strings.Join(strings.Fields(lives), " ") != "3600 86400" {
			t.Errorf("%s: a token lives for %q, want an hour, and a day at most", identity, lives)
		}
		v.Script(SetupScript("transit", "unused"))
		after := read("ownkey-" + identity + ".secret-id")
		if n := count(); n != 1 || after == before || after == "" {
			t.Errorf("%s: %d secret ids after a second setup; changed: %v", identity, n, after != before)
		}
		roundTrip(t, v.keyring())
	}
	if left := strings.TrimSpace(v.Script("ls " + v.Dir + " | grep -E 'old|new' || true")); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
