package api

import (
	"context"
	"errors"
	"sync"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/exchange"
)

// Bounds of exports. One is made in memory, in the room that its caller brings,
// and keeps that room until it is written.
const (
	maxExportBytes = 256 << 20
	// exportPartBytes is how much room is taken at once.
	exportPartBytes = 64 << 10
	// maxExports bounds those that are being made at a time, in all and of one
	// tenant: each has a page of memories in hand, besides.
	maxExports       = 8
	maxTenantExports = 2
)

var errManyExports = &busyError{"too many exports are being made"}

// exports counts those that are being made. It is safe for concurrent use.
type exports struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by tenant; guarded by mu
}

// begin takes a place, if there is one for the tenant.
func (e *exports) begin(tenant string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all >= maxExports || e.of[tenant] >= maxTenantExports {
		return false
	}
	if e.of == nil {
		e.of = map[string]int{}
	}
	e.all++
	e.of[tenant]++
	return true
}

func (e *exports) end(tenant string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all--
	if e.of[tenant]--; e.of[tenant] == 0 {
		delete(e.of, tenant)
	}
}

// exported is an export in the making.
type exported struct {
	room  Room
	body  Body
	taken int // of the room
	line  []byte
}

// add adds a memory's line, if there is room.
func (e *exported) add(m *memory.Memory) (err error) {
	if e.taken > maxExportBytes {
		return &memory.InvalidError{Field: "bucket", Reason: "is too large to be exported in one piece"}
	}
	if e.line, err = exchange.AppendLine(e.line[:0], m); err != nil {
		return err
	}
	for rest := e.line; len(rest) > 0; {
		last := len(e.body.parts) - 1
		if last < 0 || len(e.body.parts[last]) == exportPartBytes {
			if !e.room.Take(exportPartBytes) {
				return errNoRoom
			}
			e.taken += exportPartBytes
			e.body.parts = append(e.body.parts, make([]byte, 0, exportPartBytes))
			last++
		}
		part := &e.body.parts[last]
		n := min(len(rest), exportPartBytes-len(*part))
		*part, rest = append(*part, rest[:n]...), rest[n:]
	}
	return nil
}

// release gives back what nobody will.
func (e *exported) release() { e.room.Give(e.taken) }

var errNoRoom = &busyError{"the export finds no more room in the tenant's part of the memory for bodies and answers (limits.max_buffered_bytes)"}

// busyError is a bound of what may be under way at once.
type busyError struct{ reason string }

// Error says which.
func (e *busyError) Error() string { return e.reason + "; try again" }

// export gives a bucket as JSON Lines, oldest first.
func (a *API) export(ctx context.Context, c *call) (Answer, error) {
	if err := c.parameters("format"); err != nil {
		return Answer{}, err
	}
	if f := c.query.Get("format"); f != "" && f != string(exchange.JSONL) {
		return Answer{}, &memory.InvalidError{Field: "format", Reason: "must be jsonl"}
	}
	if !a.exports.begin(c.Caller.Tenant) {
		return Answer{}, errManyExports
	}
	defer a.exports.end(c.Caller.Tenant)
	e := exported{room: c.Room}
	defer e.release()
	if err := a.keeper.Each(ctx, c.Caller.Tenant, c.bucket(), e.add); err != nil {
		return Answer{}, err
	}
	out := Answer{Status: statusOK, ContentType: "application/x-ndjson", Body: e.body, Taken: e.taken}
	e.taken = 0 // the caller's now
	return out, nil
}

// importAll stores the memories of a file. A file that is wrong somewhere
// stores nothing. An import that was broken off can be done again: what is
// there already is not stored twice.
func (a *API) importAll(ctx context.Context, c *call) (Answer, error) {
	if err := c.parameters("format"); err != nil {
		return Answer{}, err
	}
	format, err := exchange.ParseFormat(c.query.Get("format"))
	if err != nil {
		return Answer{}, err
	}
	all, err := exchange.Read(c.Body.Reveal(), format)
	if wrong, ok := errors.AsType[*exchange.LineError](err); ok {
		return fail(statusBadRequest, "invalid_request", wrong.Error()+"; nothing was imported"), nil
	}
	if err != nil {
		return Answer{}, err
	}
	if len(all) == 0 {
		return Answer{}, &memory.InvalidError{Field: "body", Reason: "holds no memories"}
	}
	imported, merged := 0, 0
	for len(all) > 0 {
		n := min(len(all), memory.MaxBatch)
		results, err := a.keeper.Import(ctx, &c.Caller, c.bucket(), all[:n])
		if err != nil {
			return Answer{}, err
		}
		all = all[n:]
		for i := range results {
			if results[i].Merged {
				merged++
			} else {
				imported++
			}
		}
	}
	return ok(statusOK, map[string]any{"imported": imported, "merged": merged})
}
