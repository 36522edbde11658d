package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// MemoryEvents implements invoice.Events.
func (s *Store) MemoryEvents(ctx context.Context, tenant string, from, until, watermark time.Time, each func(*meter.MemoryEvent) error) error {
	found, err := s.db.Read.QueryContext(ctx, "SELECT "+strings.Join(columnsOf(&meter.MemoryEvent{}), ", ")+` FROM memory_events
		WHERE tenant = ? AND at < ? AND taken_at <= ? AND (op != 'retrieved' OR at >= ?) ORDER BY at, event_id`,
		tenant, until.UnixMicro(), watermark.UnixMicro(), from.UnixMicro())
	if err != nil {
		return fmt.Errorf("cannot read memory events: %w", err)
	}
	defer found.Close() //nolint:errcheck // Err has it
	for found.Next() {
		m := &meter.MemoryEvent{}
		if err := scanRow(found, m); err != nil {
			return fmt.Errorf("cannot read memory events: %w", err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("cannot read memory events: %w", err)
	}
	return nil
}
