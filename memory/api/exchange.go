package api

import (
	"context"
	"errors"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/exchange"
)

// maxExportBytes bounds one export: it is made in memory.
const maxExportBytes = 256 << 20

// export gives a bucket as JSON Lines, oldest first.
func (a *API) export(ctx context.Context, c *call) (Answer, error) {
	if err := c.parameters("format"); err != nil {
		return Answer{}, err
	}
	if f := c.query.Get("format"); f != "" && f != string(exchange.JSONL) {
		return Answer{}, &memory.InvalidError{Field: "format", Reason: "must be jsonl"}
	}
	var b []byte
	err := a.keeper.Each(ctx, c.Caller.Tenant, c.bucket(), func(m *memory.Memory) (err error) {
		if len(b) > maxExportBytes {
			return &memory.InvalidError{Field: "bucket", Reason: "is too large to be exported in one piece"}
		}
		b, err = exchange.AppendLine(b, m)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: statusOK, ContentType: "application/x-ndjson", Body: Body{b}}, nil
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
