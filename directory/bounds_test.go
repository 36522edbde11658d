package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// put stores a credential of acme's, as of now.
func put(t *testing.T, d *Directory, provider, label, sealed string) *Credential {
	t.Helper()
	id, err := d.CredentialID("acme", provider, label)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.PutCredential(ctx, Credential{ID: id, TenantID: "acme", Provider: provider, Label: label, Host: "h:443", Sealed: sealed, Fingerprint: sealed, Keyring: "local", KeyVersion: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusesField reports whether an error names a field.
func refusesField(err error, field string) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid) && invalid.Field == field
}

// TestLimitsHaveBounds: each of them, at its ends; zero is none.
func TestLimitsHaveBounds(t *testing.T) {
	for rate, ok := range map[float64]bool{0: true, leastRate: true, 1: true, mostRate: true, leastRate / 2: false, mostRate + 1: false, -1: false} {
		if err := (&Limits{RequestsPerSecond: rate}).check(); (err == nil) != ok || !ok && !refusesField(err, "limits.requests_per_second") {
			t.Errorf("%g requests per second: %v", rate, err)
		}
	}
	fields := map[string]func(*Limits) *int64{
		"tokens_per_minute":  func(l *Limits) *int64 { return &l.TokensPerMinute },
		"requests_in_flight": func(l *Limits) *int64 { return &l.RequestsInFlight },
		"streams":            func(l *Limits) *int64 { return &l.Streams },
		"body_bytes":         func(l *Limits) *int64 { return &l.BodyBytes },
		"tokens_per_day":     func(l *Limits) *int64 { return &l.TokensPerDay },
		"tokens_per_month":   func(l *Limits) *int64 { return &l.TokensPerMonth },
	}
	for name, of := range fields {
		for n, ok := range map[int64]bool{0: true, 1: true, mostLimit: true, mostLimit + 1: false, -1: false} {
			var l Limits
			*of(&l) = n
			if err := l.check(); (err == nil) != ok || !ok && !refusesField(err, "limits."+name) {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
		own, other := Limits{}, Limits{}
		*of(&other) = 7
		if got := own.Or(other); *of(&got) != 7 {
			t.Errorf("%s: the default does not count", name)
		}
		*of(&own) = 5
		if got := own.Or(other); *of(&got) != 5 {
			t.Errorf("%s: the own one does not count", name)
		}
	}
	if got := (Limits{}).Or(Limits{RequestsPerSecond: 2}); got.RequestsPerSecond != 2 {
		t.Error("the default rate does not count")
	}
	if got := (Limits{RequestsPerSecond: 1}).Or(Limits{RequestsPerSecond: 2}); got.RequestsPerSecond != 1 {
		t.Error("the own rate does not count")
	}
}

// TestTokensEndAtTheirMoment: a token is used until just before it expires, and is
// known a day longer, for the streams that it has begun.
func TestTokensEndAtTheirMoment(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, f := range []struct {
		token            Token
		ended, forgotten bool
	}{
		{Token{}, false, false},
		{Token{RevokedAt: at.Add(-time.Hour)}, true, true},
		{Token{ExpiresAt: at.Add(1)}, false, false},
		{Token{ExpiresAt: at}, true, false},
		{Token{ExpiresAt: at.Add(1 - keepExpired)}, true, false},
		{Token{ExpiresAt: at.Add(-keepExpired)}, true, true},
	} {
		if f.token.ended(at) != f.ended || f.token.forgotten(at) != f.forgotten {
			t.Errorf("%+v: ended %v, forgotten %v", f.token, f.token.ended(at), f.token.forgotten(at))
		}
	}
	n := NewToken{Label: "t", ExpiresAt: at}
	if _, err := n.token(at); !refusesField(err, "expires_at") {
		t.Errorf("a token that expires now: %v", err)
	}
	if _, err := n.token(at.Add(-1)); err != nil {
		t.Errorf("a token that expires in a moment: %v", err)
	}
}

// TestTokensAreMintedEvenly: a byte that would favour some digits is passed over,
// and the checksum is the CRC in six digits.
func TestTokensAreMintedEvenly(t *testing.T) {
	seed := []byte{248, 255, 0, 9, 10, 35, 36, 61, 62, 247}
	for len(seed) < 60 {
		seed = append(seed, 250, byte(len(seed)))
	}
	plain, err := mint(bytes.NewReader(bytes.Repeat(seed, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(plain, "ok_09AZaz0z") || len(plain) != 53 {
		t.Errorf("%s", plain)
	}
	sum, digits := crc32.ChecksumIEEE([]byte(plain[:47])), ""
	for range 6 {
		digits = string("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[sum%62]) + digits
		sum /= 62
	}
	if plain[47:] != digits {
		t.Errorf("%s ends with %s, want %s", plain, plain[47:], digits)
	}
	if _, err := mint(bytes.NewReader(seed[:5])); err == nil {
		t.Error("a token of too little randomness")
	}
	id, ok := idOf([]byte(plain))
	if !ok || string(id[:]) != plain[3:15] {
		t.Errorf("id %s, %v", id, ok)
	}
	for _, other := range []string{plain[:52], plain + "0", "OK_" + plain[3:], plain[:52] + "!", ""} {
		if _, ok := idOf([]byte(other)); ok {
			t.Errorf("%q has the shape of a token", other)
		}
	}
}

// TestReplicaIsBelievedForItsTime: up to MaxStaleness after the database was heard.
func TestReplicaIsBelievedForItsTime(t *testing.T) {
	d := newDirectory(t)
	if d.maxStaleness != 15*time.Minute {
		t.Errorf("%s without a setting", d.maxStaleness)
	}
	heard := time.Unix(0, d.heard.Load())
	for after, want := range map[time.Duration]bool{0: false, d.maxStaleness: false, d.maxStaleness + time.Second: true, -time.Second: false} {
		d.feed.Lock() // no sync meanwhile
		d.heard.Store(heard.UnixNano())
		if got := d.stale(heard.Add(after)); got != want {
			t.Errorf("after %s: stale %v", after, got)
		}
		d.feed.Unlock()
	}
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
}

func TestPatternsMatchTheirWholePrefix(t *testing.T) {
	for _, f := range []struct {
		pattern, model string
		want           bool
	}{
		{"gpt-4o", "gpt-4o", true},
		{"gpt-4o", "gpt-4o-mini", false},
		{"gpt-4o", "gpt-4", false},
		{"gpt*", "gpt", true},
		{"gpt*", "gpt-4o", true},
		{"gpt*", "gp", false},
		{"gpt*", "GPT", false},
		{"*", "", true},
		{"*", "x", true},
		{"", "", true},
		{"", "x", false},
	} {
		if got := matches(f.pattern, []byte(f.model)); got != f.want {
			t.Errorf("%q of %q: %v", f.pattern, f.model, got)
		}
	}
	tenant := &Tenant{Routes: []Route{{"gpt*", "openai"}, {"gpt-4o", "azure"}}}
	if p := tenant.Route([]byte("gpt-4o")); p != "openai" || !tenant.Routed([]byte("gpt-4o")) {
		t.Errorf("the first route that matches is not taken: %q", p)
	}
	if p := tenant.Route([]byte("x")); p != "" || tenant.Routed([]byte("x")) {
		t.Errorf("no route, no default, no credential: %q", p)
	}
	tenant.DefaultProvider = "groq"
	if p := tenant.Route([]byte("x")); p != "groq" {
		t.Errorf("the default is not taken: %q", p)
	}
}

// TestNamesAndListsHaveBounds: their longest is taken, one more is not.
func TestNamesAndListsHaveBounds(t *testing.T) {
	d := newDirectory(t)
	if _, err := d.CreateTenant(ctx, "long", strings.Repeat("x", 200)); err != nil {
		t.Error(err)
	}
	if _, err := d.CreateTenant(ctx, "longer", strings.Repeat("x", 201)); !refusesField(err, "name") {
		t.Errorf("%v", err)
	}
	for n, ok := range map[int]bool{1: true, maxEntries: true, maxEntries + 1: false, 0: false} {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint("m", i)
		}
		if err := (&Token{Models: list}).checkLists(); refusesField(err, "models") == ok {
			t.Errorf("%d models: %v", n, err)
		}
		if err := (&Token{Models: []string{"m"}, Endpoints: list[:min(n, 1)]}).checkLists(); n == 0 && err != nil {
			t.Errorf("no endpoints: %v", err)
		}
	}
	for n, ok := range map[int]bool{1: true, maxBucket: true, maxBucket + 1: false} {
		if got := validBucket(strings.Repeat("é", n)); got != ok {
			t.Errorf("a bucket of %d characters: %v", n, got)
		}
	}
	if err := checkRoutes([]Route{{"m", "openai"}, {"m n", "openai"}}); !refusesField(err, "routes[1].model") {
		t.Errorf("%v", err)
	}
	for _, err := range []error{(&Token{Models: []string{"ok", "not ok", "ok"}}).checkLists()} {
		if !refusesField(err, "models[1]") {
			t.Errorf("%v", err)
		}
	}
}

// TestOlderChangesOfACredentialAreNotApplied: a replica that has heard of the newer
// one already keeps it.
func TestOlderChangesOfACredentialAreNotApplied(t *testing.T) {
	change := func(id, provider, label, sealed string, generation int64, gone bool) *credentialChange {
		return &credentialChange{Credential{ID: id, Provider: provider, Label: label, Sealed: sealed, Generation: generation}, gone}
	}
	tenant := (&Tenant{}).with([]*credentialChange{change("1", "openai", "b", "first", 5, false), change("2", "openai", "a", "x", 6, false), change("3", "groq", "z", "x", 7, false)})
	names := func(t *Tenant) (all string) {
		for _, c := range t.credentials {
			all += c.Provider + "/" + c.Label + "=" + c.Sealed + " "
		}
		return all
	}
	if got := names(tenant); got != "groq/z=x openai/a=x openai/b=first " {
		t.Errorf("%s", got)
	}
	for generation, want := range map[int64]string{4: "first", 5: "first", 6: "next"} {
		next := tenant.with([]*credentialChange{change("1", "openai", "b", "next", generation, false)})
		if got := names(next); got != "groq/z=x openai/a=x openai/b="+want+" " {
			t.Errorf("generation %d: %s", generation, got)
		}
		next = tenant.with([]*credentialChange{change("1", "openai", "b", "", generation, true)})
		if gone := !strings.Contains(names(next), "openai/b"); gone != (generation > 5) {
			t.Errorf("generation %d: %s", generation, names(next))
		}
	}
}

// TestWhatEndsCallsThatHaveBegun: a token or a tenant that is stopped, and a
// credential that is gone; not one that was replaced.
func TestWhatEndsCallsThatHaveBegun(t *testing.T) {
	d := newDirectory(t)
	_, token := newToken(t, d, NewToken{})
	c := put(t, d, "openai", "default", "first")
	other := put(t, d, "openai", "other", "x")
	look := func(what string, without, with, usable bool) {
		t.Helper()
		if d.Revoked("acme", token.ID, "") != without || d.Revoked("acme", token.ID, c.ID) != with || d.Usable(token.ID, time.Now()) != usable {
			t.Errorf("%s: revoked %v, with its credential %v, usable %v", what, d.Revoked("acme", token.ID, ""), d.Revoked("acme", token.ID, c.ID), d.Usable(token.ID, time.Now()))
		}
	}
	look("at first", false, false, true)
	put(t, d, "openai", "default", "second")
	look("after a replacement", false, false, true)
	if _, err := d.StopToken(ctx, "acme", token.ID, "too fast"); err != nil {
		t.Fatal(err)
	}
	look("stopped", true, true, true)
	if resumed, err := d.ResumeToken(ctx, "acme", token.ID); err != nil || resumed.Stopped() {
		t.Errorf("%+v, %v", resumed, err)
	}
	if suspended, err := d.SuspendTenant(ctx, "acme"); err != nil || !suspended.Suspended() {
		t.Errorf("%+v, %v", suspended, err)
	}
	look("suspended", true, true, true)
	if resumed, err := d.ResumeTenant(ctx, "acme"); err != nil || resumed.Suspended() {
		t.Errorf("%+v, %v", resumed, err)
	}
	look("resumed", false, false, true)
	if err := d.DeleteCredential(ctx, "acme", "openai", "default"); err != nil {
		t.Fatal(err)
	}
	look("without its credential", false, true, true)
	if d.Revoked("acme", token.ID, other.ID) {
		t.Error("the other credential is still there")
	}
	if !d.Revoked("nobody", token.ID, "") || !d.Revoked("acme", "000000000000", "") || d.Usable("000000000000", time.Now()) {
		t.Error("what never was goes on")
	}
	if _, err := d.SuspendTenant(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// TestReplacedCredentialsCanComeBack, once, and not after they were forgotten.
func TestReplacedCredentialsCanComeBack(t *testing.T) {
	d := newDirectory(t)
	first := put(t, d, "openai", "default", "first")
	if _, err := d.Replaced(ctx, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing was replaced: %v", err)
	}
	if _, err := d.RollBackCredential(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing to go back to: %v", err)
	}
	put(t, d, "openai", "default", "first") // the same secret again
	if _, err := d.Replaced(ctx, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the same secret replaced itself: %v", err)
	}
	second := put(t, d, "openai", "default", "second")
	if r, err := d.Replaced(ctx, first.ID); err != nil || r.Fingerprint != "first" || r.KeyVersion != 1 || time.Since(r.ReplacedAt) > time.Hour {
		t.Errorf("%+v, %v", r, err)
	}
	if c, err := d.RollBackCredential(ctx, second); err != nil || c.Sealed != "first" || c.Generation <= second.Generation {
		t.Errorf("%+v, %v", c, err)
	}
	again, err := d.RollBackCredential(ctx, second)
	if err != nil || again.Sealed != "second" {
		t.Errorf("%+v, %v", again, err)
	}
	if err := d.ForgetReplaced(ctx, second); err != nil { // it is not the one any more
		t.Fatal(err)
	}
	if _, err := d.Replaced(ctx, first.ID); err != nil {
		t.Errorf("forgotten by a look at an older one: %v", err)
	}
	if err := d.ForgetReplaced(ctx, again); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Replaced(ctx, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("after it was forgotten: %v", err)
	}
}

// TestRewrapsCountWhatTheyReplace: rows that have changed meanwhile stay.
func TestRewrapsCountWhatTheyReplace(t *testing.T) {
	d := newDirectory(t)
	put(t, d, "openai", "default", "old")
	put(t, d, "openai", "default", "now")
	put(t, d, "groq", "default", "groq")
	rows, err := d.SealedRows(ctx, "acme")
	if err != nil || len(rows) != 3 {
		t.Fatalf("%+v, %v", rows, err)
	}
	var all []Resealed
	for _, r := range rows {
		after := r
		after.Sealed, after.KeyVersion = r.Sealed+"-2", 2
		all = append(all, Resealed{r, after})
	}
	put(t, d, "groq", "default", "changed")
	if n, err := d.Reseal(ctx, all); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
	if n, err := d.Reseal(ctx, nil); err != nil || n != 0 {
		t.Errorf("%d rows of none, %v", n, err)
	}
	rows, err = d.SealedRows(ctx, "acme")
	got := map[string]bool{}
	for _, r := range rows {
		got[fmt.Sprint(r.Provider, " ", r.Sealed, " ", r.Replaced, " ", r.KeyVersion)] = true
	}
	for _, want := range []string{"openai old-2 true 2", "openai now-2 false 2", "groq changed false 1", "groq groq true 1"} {
		if !got[want] {
			t.Errorf("no row %s: %v, %v", want, got, err)
		}
	}
}

// TestRewrapIsOneRunners until it was not heard of for ten seconds.
func TestRewrapIsOneRunners(t *testing.T) {
	d := newDirectory(t)
	if _, err := d.LastRewrap(ctx); !errors.Is(err, ErrNotFound) {
		t.Errorf("none was started: %v", err)
	}
	if _, err := d.StartRewrap(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no tenant: %v", err)
	}
	r, err := d.StartRewrap(ctx, "acme")
	if err != nil || r.State != RewrapRewrapping || r.TenantID != "acme" || time.Since(r.StartedAt) > time.Hour || !r.FinishedAt.IsZero() {
		t.Fatalf("%+v, %v", r, err)
	}
	if again, err := d.StartRewrap(ctx, "acme"); err != nil || again.ID != r.ID {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	if other, err := d.StartRewrap(ctx, ""); !errors.Is(err, ErrExists) || other.ID != r.ID {
		t.Errorf("all tenants meanwhile: %+v, %v", other, err)
	}
	claim := func(runner string) bool {
		t.Helper()
		c, err := d.ClaimRewrap(ctx, runner)
		if err != nil && !errors.Is(err, ErrNotFound) || err == nil && c.ID != r.ID {
			t.Errorf("%s: %+v, %v", runner, c, err)
		}
		return err == nil
	}
	silent := func(seconds int) {
		t.Helper()
		if _, err := d.db.Write.ExecContext(ctx, "UPDATE rewraps SET beat_at = ?", time.Now().Unix()-int64(seconds)); err != nil {
			t.Fatal(err)
		}
	}
	if !claim("one") || claim("other") || !claim("one") {
		t.Error("it is not the first one's")
	}
	silent(5)
	if claim("other") {
		t.Error("five seconds are no silence")
	}
	silent(12)
	if !claim("other") || claim("one") {
		t.Error("after twelve seconds it is not the other's")
	}
	r.RowsDone, r.State = 3, RewrapDone
	if err := d.UpdateRewrap(ctx, "one", r); !errors.Is(err, ErrNotFound) {
		t.Errorf("the first one's report: %v", err)
	}
	r.FinishedAt = time.Now()
	if err := d.UpdateRewrap(ctx, "other", r); err != nil {
		t.Error(err)
	}
	if last, err := d.LastRewrap(ctx); err != nil || last.RowsDone != 3 || last.State != RewrapDone || last.FinishedAt.Unix() != r.FinishedAt.Unix() {
		t.Errorf("%+v, %v", last, err)
	}
	if claim("other") {
		t.Error("what is done was claimed")
	}
	if next, err := d.StartRewrap(ctx, ""); err != nil || next.ID == r.ID {
		t.Errorf("the next: %+v, %v", next, err)
	}
}

// TestDeletedRowsLeaveTheTable: credentials after a week, more than are deleted at
// once, and no sooner.
func TestDeletedRowsLeaveTheTable(t *testing.T) {
	d := newDirectory(t)
	fill(t, d.db, 1, 0, purgeRows+3)
	deleted := time.Now()
	if _, err := d.db.Write.ExecContext(ctx, "UPDATE credentials SET deleted_at = ?", deleted.Unix()); err != nil {
		t.Fatal(err)
	}
	put(t, d, "openai", "default", "live")
	for after, want := range map[time.Duration]int{0: purgeRows + 4, keepDeleted - time.Hour: purgeRows + 4} {
		if n := left(t, d, deleted.Add(after)); n != want {
			t.Errorf("after %s: %d rows, want %d", after, n, want)
		}
	}
	if n := left(t, d, deleted.Add(keepDeleted+time.Hour)); n != 1 {
		t.Errorf("after a week: %d rows", n)
	}
}

// left purges as of a time and counts the credentials.
func left(t *testing.T, d *Directory, now time.Time) (n int) {
	t.Helper()
	if err := d.purge(ctx, now); err != nil {
		t.Fatal(err)
	}
	if err := d.db.Read.QueryRowContext(ctx, "SELECT count(*) FROM credentials").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFailuresAreNotedAndEnd: of the database, not of a process that closes.
func TestFailuresAreNotedAndEnd(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "ownkey.db"))
	d.Close() // nothing is followed: each sync is the test's
	gone, leave := context.WithCancel(ctx)
	leave()
	if err := d.sync(gone); err == nil || d.failing.Load() || d.Ready() != nil {
		t.Errorf("closing: %v, failing %v", err, d.failing.Load())
	}
	late, end := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer end()
	if err := d.sync(late); err == nil || !d.failing.Load() || !errors.Is(d.Ready(), ErrUnavailable) {
		t.Errorf("too late: %v, failing %v", err, d.failing.Load())
	}
	d.heard.Store(0)
	if !d.Stale() {
		t.Error("never heard of, and believed")
	}
	if err := d.sync(ctx); err != nil || d.failing.Load() || d.Ready() != nil || d.Stale() {
		t.Errorf("again: %v, failing %v, stale %v", err, d.failing.Load(), d.Stale())
	}
}

func TestDeletedTenantsAreShreddedOnce(t *testing.T) {
	d := newDirectory(t)
	if _, err := d.CreateTenant(ctx, "kept", ""); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.DeleteTenant(ctx, "acme", true), d.DeleteTenant(ctx, "kept", false)); err != nil {
		t.Fatal(err)
	}
	if all, err := d.PendingShreds(ctx); err != nil || len(all) != 1 || all[0].TenantID != "acme" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := d.Shredded(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if all, err := d.PendingShreds(ctx); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := d.DeleteTenant(ctx, "acme", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
}
