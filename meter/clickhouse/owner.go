package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Found is what tells a database from another one.
type Found struct {
	Made  time.Time // when its schema was made
	Clock time.Time // the server's
	Owner string    // the installation that has claimed it; empty for none
	// Strange: it has records, and none of the gateway that asks.
	Strange bool
}

// Look asks the database who it is, for a gateway.
func (s *Store) Look(ctx context.Context, gateway uuid.UUID) (f Found, err error) {
	name := s.client.schema.name
	query := "SELECT (SELECT min(applied_at) FROM " + name("schema_versions") + "), now64(3), " +
		"(SELECT count() > 0 AND countIf(gateway = ?) = 0 FROM " + name("batches") + ")"
	var strange bool
	if err := s.client.conn.QueryRow(ctx, query, gateway.String()).Scan(&f.Made, &f.Clock, &strange); err != nil {
		return f, fmt.Errorf("cannot reach ClickHouse: %w", err)
	}
	f.Made, f.Clock, f.Strange = f.Made.UTC(), f.Clock.UTC(), strange
	f.Owner, _, err = s.owner(ctx)
	return f, err
}

// owner is the installation that the database belongs to, and the number of its
// claim.
func (s *Store) owner(ctx context.Context) (id string, claim uint64, err error) {
	rows, err := s.client.conn.Query(ctx, "SELECT id, claim FROM "+s.client.schema.name(ownerTable)+" ORDER BY claim DESC, claimed_at, id LIMIT 1")
	if err != nil {
		return "", 0, fmt.Errorf("cannot read whose database it is: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	for rows.Next() {
		if err := rows.Scan(&id, &claim); err != nil {
			return "", 0, fmt.Errorf("cannot read whose database it is: %w", err)
		}
	}
	return id, claim, rows.Err()
}

// Own makes the database an installation's, whosever it was.
func (s *Store) Own(ctx context.Context, id string) error {
	_, claim, err := s.owner(ctx)
	if err != nil {
		return err
	}
	claim++
	err = s.exec(ctx, fmt.Sprintf("installation/%s/%d", id, claim), "INSERT INTO "+s.client.schema.name(ownerTable)+" (id, claim) VALUES (?, ?)", id, claim)
	if err != nil {
		return err
	}
	owner, _, err := s.owner(ctx)
	if err == nil && owner != id {
		return &Problem{"installation " + owner + " has claimed the database " + s.client.server.Database + " at the same moment; each needs one of its own"}
	}
	return err
}
