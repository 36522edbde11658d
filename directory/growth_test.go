package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// fill writes tokens, spread over tenants, of which every second is revoked,
// and credentials, all of one tenant.
func fill(t testing.TB, database *db.DB, tenants, tokens, credentials int) {
	t.Helper()
	tx, err := database.Write.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("UPDATE counter SET revision = revision + 1")
	exec("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"+
		" INSERT INTO tenants (id, name, default_provider, routes, created_at, revision) SELECT 'tenant-' || i, '', '', '[]', 1, revision FROM n, counter", tenants)
	exec("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)"+
		" INSERT INTO tokens (id, tenant_id, label, digest, scopes, models, memory, bucket, created_at, expires_at, revoked_at, revision)"+
		" SELECT printf('%012d', i), 'tenant-' || (i % ?2), 'l', zeroblob(32), '[]', '[]', 'off', 'default', 1, 0, CASE WHEN i % 2 THEN ?3 ELSE 0 END, revision FROM n, counter",
		tokens, tenants, time.Now().Unix())
	exec("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"+
		" INSERT INTO credentials (id, tenant_id, provider, label, base_url, host, organization, project, sealed, fingerprint, key_version, created_at, updated_at, revision)"+
		" SELECT 'c' || i, 'tenant-0', 'openai', 'l' || i, '', 'h:443', '', '', 's', 'f', 1, 1, 1, revision FROM n, counter", credentials)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// filled is a database that no directory has open.
func filled(t testing.TB, tenants, tokens, credentials int) *db.DB {
	t.Helper()
	database, err := db.Open(ctx, filepath.Join(t.TempDir(), "ownkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	d, err := Open(ctx, database, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	fill(t, database, tenants, tokens, credentials)
	return database
}

// TestFirstLoadIsLinear: twice the rows take twice the time, whoever they are
// of. The best of some runs, and a wide margin: quadratic would be four.
func TestFirstLoadIsLinear(t *testing.T) {
	load := func(n int) time.Duration {
		database := filled(t, n/10, n, n)
		best := time.Hour
		for range 3 {
			began := time.Now()
			d, err := Open(ctx, database, Options{})
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
			if held := d.tokens.Size(); held != n/2 {
				t.Errorf("%d tokens are held, want those that were not revoked, %d", held, n/2)
			}
			d.Close()
		}
		return best
	}
	small, large := load(10_000), load(20_000)
	if ratio := float64(large) / float64(small); ratio > 3.2 {
		t.Errorf("10,000: %v, 20,000: %v, %.1f times as long", small, large, ratio)
	}
}

// TestFirstLoadReportsAndHasNoDeadline: rows that come slower than the limit of
// a pull are waited for, and counted.
func TestFirstLoadReportsAndHasNoDeadline(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "ownkey.db"))
	fill(t, d.db, 10, 3*beatRows, 0)
	var reports []int
	d.revision, d.lastReport = 0, time.Now().Add(-time.Hour)
	if err := d.load(ctx, func(rows int) { reports = append(reports, rows) }); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || reports[0] != beatRows {
		t.Errorf("reported %v, want the first %d rows, and nothing within two seconds from there", reports, beatRows)
	}
	gone, leave := context.WithDeadline(ctx, time.Now().Add(time.Hour))
	defer leave()
	if err := d.sync(gone); err != nil {
		t.Errorf("a pull after it: %v", err)
	}
}

// TestEndedTokensLeave: what was revoked or has expired is not held, is listed
// for 90 days, and then is gone from the table; what ended without EnsureToken
// is never accepted again at any time.
func TestEndedTokensLeave(t *testing.T) {
	d := newDirectory(t)
	now := time.Now()
	live, _ := newToken(t, d, NewToken{Label: "live"})
	soon, expiring := newToken(t, d, NewToken{Label: "expiring", ExpiresAt: now.Add(time.Hour)})
	gone, revoked := newToken(t, d, NewToken{Label: "revoked"})
	if err := d.RevokeToken(ctx, "acme", revoked.ID); err != nil {
		t.Fatal(err)
	}
	labels := func() (all []string) {
		tokens, err := d.Tokens(ctx, "acme", TokenPlace{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			all = append(all, token.Label)
		}
		slices.Sort(all)
		return all
	}
	day := 24 * time.Hour
	d.heard.Store(now.Add(365 * day).UnixNano())
	for _, at := range []struct {
		after  time.Duration
		held   int
		listed string
	}{
		{0, 2, "[expiring live revoked]"},
		{2 * time.Hour, 2, "[expiring live revoked]"},
		{2 * day, 1, "[expiring live revoked]"},
		{89 * day, 1, "[expiring live revoked]"},
		{91 * day, 1, "[live]"},
	} {
		d.forgetExpired(now.Add(at.after))
		if err := d.purge(ctx, now.Add(at.after)); err != nil {
			t.Fatal(err)
		}
		if d.tokens.Size() != at.held || fmt.Sprint(labels()) != at.listed {
			t.Errorf("after %v: %d are held, want %d; listed %v, want %s", at.after, d.tokens.Size(), at.held, labels(), at.listed)
		}
		if _, err := d.Authenticate([]byte(gone), now.Add(at.after)); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("after %v the revoked token: %v", at.after, err)
		}
	}
	if _, err := d.Authenticate([]byte(live), now); err != nil {
		t.Errorf("the live token: %v", err)
	}
	if d.Revoked("acme", expiring.ID, "") != true {
		t.Error("an expired token is looked for after a day")
	}
	if _, err := d.Authenticate([]byte(soon), now.Add(2*time.Hour)); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("the expired token: %v", err)
	}
}

// BenchmarkOpen loads a replica. OWNKEY_BENCH_TOKENS replaces 100,000.
func BenchmarkOpen(b *testing.B) {
	tokens := 100_000
	if n, err := strconv.Atoi(os.Getenv("OWNKEY_BENCH_TOKENS")); err == nil {
		tokens = n
	}
	database := filled(b, tokens/10, tokens, tokens/10)
	b.ReportAllocs()
	for b.Loop() {
		d, err := Open(ctx, database, Options{})
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
