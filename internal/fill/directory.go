package fill

import (
	"context"

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
