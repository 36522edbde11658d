package memory

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/crash"
)

// eventRetry is how long events wait that the meter would not take.
const eventRetry = time.Second

// addEvent writes an event down together with what it tells of: both are there
// after a crash, or neither.
func addEvent(ctx context.Context, tx *sql.Tx, who *Caller, bucketID string, at time.Time, op Op, count, bytes int64) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO events (event_id, at, tenant, token, bucket_id, request_id, op, count, bytes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, id[:], at.UnixMicro(), who.Tenant, who.Token, bucketID, who.RequestID[:], op, count, bytes)
	return err
}

// handOnEvents hands what was written down to the meter. An event is forgotten
// only after the meter has it; the meter knows by its id that it came twice.
func (k *Keeper) handOnEvents() {
	defer crash.Exit()
	for {
		err := k.handOn(context.WithoutCancel(k.background))
		var again <-chan time.Time
		if err != nil {
			k.o.Trouble("billing events wait", err)
			again = time.After(eventRetry)
		}
		select {
		case <-k.background.Done():
			return
		case <-k.wakeEvents:
		case <-again:
		}
	}
}

func (k *Keeper) handOn(ctx context.Context) error {
	for {
		all, err := k.waitingEvents(ctx)
		if err != nil || len(all) == 0 {
			return unavailable(err)
		}
		for i := range all {
			if err := k.o.Emit(all[i]); err != nil {
				return err
			}
		}
		if err := k.write(ctx, func(tx *sql.Tx) error {
			for i := range all {
				if _, err := tx.ExecContext(ctx, "DELETE FROM events WHERE event_id = ?", all[i].ID[:]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

func (k *Keeper) waitingEvents(ctx context.Context) (all []Event, err error) {
	rows, err := k.o.Read.QueryContext(ctx, "SELECT event_id, at, tenant, token, bucket_id, request_id, op, count, bytes FROM events ORDER BY event_id LIMIT 256")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var e Event
		var id, request []byte
		var at int64
		if err := rows.Scan(&id, &at, &e.Tenant, &e.Token, &e.BucketID, &request, &e.Op, &e.Count, &e.Bytes); err != nil {
			return nil, err
		}
		copy(e.ID[:], id)
		copy(e.RequestID[:], request)
		e.At = timeOf(at)
		all = append(all, e)
	}
	return all, rows.Err()
}
