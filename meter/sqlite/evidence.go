package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/reconcile"
)

// query runs a query and calls scan for each of its rows.
func (s *Store) query(ctx context.Context, text string, bound []any, scan func(*sql.Rows) error) error {
	rows, err := s.db.Read.QueryContext(ctx, text, bound...)
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	return nil
}

func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Calls implements evidence.Store.
func (s *Store) Calls(ctx context.Context, tenant string, from, to time.Time) (all []evidence.Calls, err error) {
	err = s.query(ctx, `SELECT provider, provider_organization, credential, fingerprint, key_version, count(*), min(started_at), max(started_at) FROM requests
		WHERE tenant = ? AND started_at >= ? AND started_at < ? AND attempt > 0 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
		[]any{tenant, from.UnixMicro(), to.UnixMicro()}, func(rows *sql.Rows) error {
			var c evidence.Calls
			var first, last int64
			err := rows.Scan(&c.Provider, &c.Organization, &c.CredentialID, &c.Fingerprint, &c.KeyVersion, &c.Calls, &first, &last)
			c.First, c.Last = micros(first), micros(last)
			all = append(all, c)
			return err
		})
	return all, err
}

// UnsealCounts implements evidence.Store.
func (s *Store) UnsealCounts(ctx context.Context, tenant string, from, to time.Time) (all []evidence.Unseals, err error) {
	err = s.query(ctx, `SELECT credential, keyring, count(DISTINCT unseal), sum(hedge), min(at), max(at) FROM unseals
		WHERE tenant = ? AND at >= ? AND at < ? GROUP BY 1, 2 ORDER BY 1, 2`,
		[]any{tenant, from.UnixMicro(), to.UnixMicro()}, func(rows *sql.Rows) error {
			var u evidence.Unseals
			var first, last int64
			err := rows.Scan(&u.CredentialID, &u.Keyring, &u.Unseals, &u.Hedges, &first, &last)
			u.First, u.Last = micros(first), micros(last)
			all = append(all, u)
			return err
		})
	return all, err
}

// Daily implements reconcile.Store.
func (s *Store) Daily(ctx context.Context, provider, tenant string, from, to time.Time) (all []reconcile.Daily, err error) {
	err = s.query(ctx, `SELECT started_at / 86400000000 AS day, iif(model_served != '', model_served, model) AS m, credential, count(*),
		coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(cache_write_tokens), 0), coalesce(sum(output_tokens), 0), sum(usage_source != 'provider')
		FROM requests WHERE provider = ? AND started_at >= ? AND started_at < ? AND (? = '' OR tenant = ?) AND attempt > 0 AND endpoint != 'none' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
		[]any{provider, from.UnixMicro(), to.UnixMicro(), tenant, tenant}, func(rows *sql.Rows) error {
			var d reconcile.Daily
			var day int64
			err := rows.Scan(&day, &d.Model, &d.CredentialID, &d.Requests, &d.InputTokens, &d.CachedTokens, &d.CacheWriteTokens, &d.OutputTokens, &d.UnknownUsage)
			d.Day = time.Unix(day*86400, 0).UTC()
			all = append(all, d)
			return err
		})
	return all, err
}

// Columns are those of a row about a call, for evidence.
func (s *Store) Columns(ctx context.Context) (all []evidence.Column, err error) {
	err = s.query(ctx, "SELECT name, lower(type) FROM pragma_table_info('requests') ORDER BY cid", nil, func(rows *sql.Rows) error {
		var c evidence.Column
		err := rows.Scan(&c.Name, &c.Type)
		all = append(all, c)
		return err
	})
	return all, err
}
