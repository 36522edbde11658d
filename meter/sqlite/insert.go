package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/ownkey/ownkey/internal/pace"
	"github.com/ownkey/ownkey/meter"
)

// together is how many rows go into a statement: a piece of some 250 µs between
// two looks of the pace. BenchmarkTake in turns: 8 take 1.18 times as many rows a
// second as one does, 16 take 1.27 times, 32 take 1.51 times.
const together = 16

// errThere is that of a statement of several rows some of which were there
// already, so that it is not known whose sums they would be in twice.
var errThere = errors.New("some rows are there already")

// rowColumns are those of requests and unseals.
var rowColumns = []string{"event_id", "tenant", "at", "row"}

// inserter takes rows once: a second one with its event id is passed over.
type inserter struct {
	table   string
	columns []string
	rows    int // a statement
}

func (i inserter) query(rows int) string {
	row := "(?" + strings.Repeat(", ?", len(i.columns)-1) + ")"
	return "INSERT OR FAIL INTO " + i.table + " (" + strings.Join(i.columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, rows-1) + " ON CONFLICT DO NOTHING"
}

// insertAll inserts rows and calls taken for those that were not there. append
// puts a row's values behind others. It fails with errThere if some of several
// rows were there.
func insertAll[R meter.Row](ctx context.Context, tx *sql.Tx, pace *pace.Pace, in inserter, rows []R, taken func(R), values func([]any, R) []any) error {
	var statement *sql.Stmt
	defer func() {
		if statement != nil {
			_ = statement.Close() // the transaction closes it as well
		}
	}()
	bound, size := make([]any, 0, in.rows*len(in.columns)), 0
	for len(rows) > 0 {
		pace.Step()
		some := rows[:min(in.rows, len(rows))]
		if rows = rows[len(some):]; len(some) != size {
			if statement != nil {
				_ = statement.Close()
			}
			var err error
			if statement, err = tx.PrepareContext(ctx, in.query(len(some))); err != nil {
				return err
			}
			size = len(some)
		}
		bound = bound[:0]
		for _, r := range some {
			bound = values(bound, r)
		}
		result, err := statement.ExecContext(ctx, bound...)
		if err != nil {
			return err
		}
		switch n, err := result.RowsAffected(); {
		case err != nil:
			return err
		case n == int64(size):
			for _, r := range some {
				taken(r)
			}
		case size > 1:
			return errThere
		}
	}
	return nil
}

// encodings are the texts of the rows of a statement, each in a place of its own
// until the statement after the next.
type encodings struct {
	places [together][]byte
	next   int
}

func (e *encodings) of(r meter.Row) []byte {
	place := &e.places[e.next%together]
	e.next++
	*place = meter.Encode((*place)[:0], r)
	return *place
}
