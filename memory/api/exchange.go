package api

import (
	"context"
	"errors"
	"sync"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/exchange"
)

// Bounds of exports. One is sent as it is read, and has a page of memories in
// hand, for which it takes room once, at its beginning.
const (
	exportBytes = 2 << 20
	// maxTenantExports bounds those of one tenant at a time.
	maxTenantExports = 2
)

var errManyExports = &busyError{"too many exports of this tenant are being sent"}

// exports counts those that are being sent. It is safe for concurrent use.
type exports struct {
	mu sync.Mutex
	of map[string]int // by tenant; guarded by mu
}

// begin takes a place, if there is one for the tenant.
func (e *exports) begin(tenant string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of[tenant] >= maxTenantExports {
		return false
	}
	if e.of == nil {
		e.of = map[string]int{}
	}
	e.of[tenant]++
	return true
}

func (e *exports) end(tenant string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of[tenant]--; e.of[tenant] == 0 {
		delete(e.of, tenant)
	}
}

// Export is an answer that is made while it is sent.
type Export struct {
	memories *memory.Export
	part     []byte
	done     func()
}

// Next gives the next part of the answer, which is valid until the next call;
// io.EOF behind the last. After any other error the answer is not whole.
func (e *Export) Next(ctx context.Context) (Body, error) {
	page, err := e.memories.Next(ctx)
	if err != nil {
		return Body{}, err
	}
	e.part = e.part[:0]
	for i := range page {
		if e.part, err = exchange.AppendLine(e.part, &page[i]); err != nil {
			return Body{}, err
		}
	}
	return bodyOf(e.part), nil
}

// Close gives back what the export holds. It must be called once.
func (e *Export) Close() { e.done() }

// CodeOf is the code of an error that ends an export, as docs/errors.md has it.
func CodeOf(err error) string { return failure(err).Code }

var errNoRoom = &busyError{"the answer finds no more room in the tenant's part of the memory for bodies and answers (limits.max_buffered_bytes)"}

// busyError is a bound of what may be under way at once.
type busyError struct{ reason string }

// Error says which.
func (e *busyError) Error() string { return e.reason + "; try again" }

// export gives a bucket as JSON Lines, oldest first. It reads nothing of it yet.
func (a *API) export(ctx context.Context, c *call) (Answer, error) {
	if f := c.query.Get("format"); f != "" && f != string(exchange.JSONL) {
		return Answer{}, &memory.InvalidError{Field: "format", Reason: "must be jsonl"}
	}
	memories, err := a.keeper.Export(ctx, c.Caller.Tenant, c.bucket())
	if err != nil {
		return Answer{}, err
	}
	tenant, room := c.Caller.Tenant, c.Room
	if !a.exports.begin(tenant) {
		return Answer{}, errManyExports
	}
	if !room.Take(exportBytes) {
		a.exports.end(tenant)
		return Answer{}, errNoRoom
	}
	e := &Export{memories: memories, done: func() {
		room.Give(exportBytes)
		a.exports.end(tenant)
	}}
	return Answer{Status: statusOK, ContentType: "application/x-ndjson", Export: e}, nil
}

// importAll stores the memories of a file. A file that is wrong somewhere
// stores nothing. An import that was broken off can be done again: what is
// there already is not stored twice.
func (a *API) importAll(ctx context.Context, c *call) (Answer, error) {
	format, err := exchange.ParseFormat(c.query.Get("format"))
	if err != nil {
		return Answer{}, err
	}
	file := c.Body.Reveal()
	n := 0
	err = exchange.Each(file, format, func(*memory.Memory) error { n++; return nil })
	if wrong, ok := errors.AsType[*exchange.LineError](err); ok {
		return fail(statusBadRequest, "invalid_request", wrong.Error()+"; nothing was imported"), nil
	}
	if err != nil {
		return Answer{}, err
	}
	if n == 0 {
		return Answer{}, &memory.InvalidError{Field: "body", Reason: "holds no memories"}
	}
	in := importing{a: a, c: c}
	if err := exchange.Each(file, format, func(m *memory.Memory) error { return in.add(ctx, m) }); err != nil {
		return Answer{}, err
	}
	if err := in.store(ctx); err != nil {
		return Answer{}, err
	}
	return ok(statusOK, map[string]any{"imported": in.imported, "merged": in.merged})
}

// maxImportBytes bounds what an import stores in one transaction, so that the
// tenants take turns at the database.
const maxImportBytes = 1 << 20

// importing is an import that is under way: a file was read once before, and what
// of it is in hand is a batch.
type importing struct {
	a                *API
	c                *call
	batch            []memory.Memory
	bytes            int
	imported, merged int
}

// add takes a memory in, and stores what is in hand when it is enough.
func (in *importing) add(ctx context.Context, m *memory.Memory) error {
	n := len(m.Content) + len(m.Metadata)
	if len(in.batch) == memory.MaxBatch || len(in.batch) > 0 && in.bytes+n > maxImportBytes {
		if err := in.store(ctx); err != nil {
			return err
		}
	}
	in.batch = append(in.batch, *m)
	in.bytes += n
	return nil
}

func (in *importing) store(ctx context.Context) error {
	if len(in.batch) == 0 {
		return nil
	}
	results, err := in.a.keeper.Import(ctx, &in.c.Caller, in.c.bucket(), in.batch)
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Merged {
			in.merged++
		} else {
			in.imported++
		}
	}
	clear(in.batch)
	in.batch, in.bytes = in.batch[:0], 0
	return nil
}
