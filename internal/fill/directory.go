package fill

import (
	"context"
	"time"

	"github.com/ownkey/ownkey/internal/db"
)

// Directory writes tenants and tokens, spread over them, into the database of a
// directory that is not open. Nobody has the tokens.
func Directory(ctx context.Context, database *db.DB, tenants, tokens int) error {
	for _, statement := range []struct {
		text  string
		bound []any
	}{
		{"UPDATE counter SET revision = revision + 1", nil},
		{"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)" +
			" INSERT INTO tenants (id, name, default_provider, routes, created_at, revision) SELECT printf('tenant-%06d', i), '', '', '[]', 1, revision FROM n, counter", []any{tenants}},
		{"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)" +
			" INSERT INTO tokens (id, tenant_id, label, digest, scopes, models, memory, bucket, created_at, expires_at, revision)" +
			" SELECT printf('%012d', i), printf('tenant-%06d', i % ?2), 'l', zeroblob(32), '[\"*\"]', '[\"*\"]', 'off', 'default', 1, 0, revision FROM n, counter", []any{tokens, tenants}},
	} {
		if _, err := database.Write.ExecContext(ctx, statement.text, statement.bound...); err != nil {
			return err
		}
	}
	return nil
}

// Sums writes sums by hour and their latencies into a store of records: of each
// tenant ten hours of each day, with a token, in turn one of five, and one of
// five models.
func Sums(ctx context.Context, database *db.DB, tenants, days int, from time.Time) error {
	const hours = "WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < ?1)," +
		" h(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM h WHERE i + 1 < ?2)," +
		" sums(tenant, hour, token, credential, provider, model) AS (SELECT printf('tenant-%06d', t.i), ?3 + 3600 * (24 * (h.i / 10) + h.i % 10)," +
		" printf('tenant-%06d-token-%06d', t.i, h.i % 5), printf('tenant-%06d-credential', t.i), 'openai', 'model-' || (h.i % 5) FROM t, h)"
	for _, insert := range []string{
		hours + " INSERT INTO requests_1h SELECT *, 9, 1, 0, 1, 5, 100, 200, 0, 0, 0, 0, 900, 9000, 0, 0, 5, 50, 200, 0, 0 FROM sums",
		hours + " INSERT INTO latency_1h SELECT *, 'total', 200, 8 FROM sums",
	} {
		if _, err := database.Write.ExecContext(ctx, insert, tenants, 10*days, from.Unix()); err != nil {
			return err
		}
	}
	return nil
}
