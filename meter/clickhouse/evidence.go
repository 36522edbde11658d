package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/reconcile"
)

// query runs a query and calls scan for each of its rows.
func (s *Store) query(ctx context.Context, text string, bound []any, scan func(driver.Rows) error) error {
	rows, err := s.client.conn.Query(ctx, text, bound...)
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

// Calls implements evidence.Store.
func (s *Store) Calls(ctx context.Context, tenant string, from, to time.Time) (all []evidence.Calls, err error) {
	those := s.client.schema.name("requests") + " FINAL WHERE tenant = ? AND " + inRange("started_at") + " AND attempt > 0"
	of := []any{tenant, from.UTC().Format(timeFormat), to.UTC().Format(timeFormat)}
	named := "SELECT provider, provider_organization FROM " + those + " AND provider_organization != '' GROUP BY 1, 2 ORDER BY min((started_at, toString(event_id))) LIMIT ? BY provider"
	bound := slices.Concat(of, []any{evidence.MaxOrganizations}, []any{evidence.OtherOrganizations}, of)
	err = s.query(ctx, "WITH named AS ("+named+`) SELECT provider, if(provider_organization = '' OR (provider, provider_organization) IN named, provider_organization, ?) AS o,
		credential, fingerprint, toInt64(key_version), toInt64(count()), min(started_at), max(started_at) FROM `+those+" GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
		bound, func(rows driver.Rows) error {
			var c evidence.Calls
			err := rows.Scan(&c.Provider, &c.Organization, &c.CredentialID, &c.Fingerprint, &c.KeyVersion, &c.Calls, &c.First, &c.Last)
			all = append(all, c)
			return err
		})
	return all, err
}

// UnsealCounts implements evidence.Store.
func (s *Store) UnsealCounts(ctx context.Context, tenant string, from, to time.Time) (all []evidence.Unseals, err error) {
	err = s.query(ctx, "SELECT credential, keyring, toInt64(uniqExact(unseal)), toInt64(countIf(hedge)), min(at), max(at) FROM "+s.client.schema.name("unseals")+
		" FINAL WHERE tenant = ? AND "+inRange("at")+" GROUP BY 1, 2 ORDER BY 1, 2",
		[]any{tenant, from.UTC().Format(timeFormat), to.UTC().Format(timeFormat)}, func(rows driver.Rows) error {
			var u evidence.Unseals
			err := rows.Scan(&u.CredentialID, &u.Keyring, &u.Unseals, &u.Hedges, &u.First, &u.Last)
			all = append(all, u)
			return err
		})
	return all, err
}

// Daily implements reconcile.Store.
func (s *Store) Daily(ctx context.Context, q reconcile.Question) (page []reconcile.Daily, err error) {
	count := func(column string) string { return saturated("ifNull(" + column + ", 0)") }
	query := "SELECT toStartOfDay(started_at) AS day, toString(if(model_served != '', model_served, model)) AS m, toString(credential) AS c, toInt64(count()), " +
		count("input_tokens") + ", " + count("cached_tokens") + ", " + count("cache_write_tokens") + ", " + count("output_tokens") + ", toInt64(countIf(usage_source != 'provider')) FROM " +
		s.client.schema.name("requests") + " FINAL WHERE provider = ? AND " + inRange("started_at") + " AND attempt > 0 AND endpoint != 'none'"
	bound := []any{q.Provider, q.Begin().UTC().Format(timeFormat), q.To.UTC().Format(timeFormat)}
	if q.Tenant != "" {
		query, bound = query+" AND tenant = ?", append(bound, q.Tenant)
	}
	query += " GROUP BY 1, 2, 3"
	if a := q.After; a != nil {
		query, bound = query+" HAVING toUnixTimestamp(day) > ? OR m > ? OR m = ? AND c > ?", append(bound, a.Day.Unix(), a.Model, a.Model, a.CredentialID)
	}
	err = s.query(ctx, query+" ORDER BY 1, 2, 3 LIMIT ?", append(bound, q.Limit), func(rows driver.Rows) error {
		var d reconcile.Daily
		err := rows.Scan(&d.Day, &d.Model, &d.CredentialID, &d.Requests, &d.InputTokens, &d.CachedTokens, &d.CacheWriteTokens, &d.OutputTokens, &d.UnknownUsage)
		d.Day = d.Day.UTC()
		page = append(page, d)
		return err
	})
	return page, err
}

// Columns are those of a row about a call, for evidence.
func (s *Store) Columns(ctx context.Context) (all []evidence.Column, err error) {
	err = s.query(ctx, "SELECT name, type FROM system.columns WHERE database = ? AND table = 'requests' ORDER BY position", []any{s.client.server.Database}, func(rows driver.Rows) error {
		var c evidence.Column
		err := rows.Scan(&c.Name, &c.Type)
		all = append(all, c)
		return err
	})
	return all, err
}
