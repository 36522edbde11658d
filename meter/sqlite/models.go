package sqlite

import (
	"context"
	"database/sql"
)

const (
	// maxModels is how many names of models a tenant has in the sums of an hour:
	// sums are kept for good, and a tenant that owns its provider can have any
	// name served.
	maxModels = 200
	// otherModels is what the names beyond are counted under. No provider's model
	// is called so: a model's name has no parentheses.
	otherModels = "(other)"
	// maxHours bounds the hours of tenants whose names are held in memory.
	maxHours = 20_000
)

// tenantHour is whose names are counted together.
type tenantHour struct {
	tenant string
	hour   int64
}

// modelNames are the names in the sums of the hours that rows came for lately.
// The zero value is ready. It is of the sink's goroutine.
type modelNames map[tenantHour]map[string]bool

// of reads the names of an hour, or gives those that are known.
func (m *modelNames) of(ctx context.Context, tx *sql.Tx, at tenantHour) (map[string]bool, error) {
	if names := (*m)[at]; names != nil {
		return names, nil
	}
	if *m == nil || len(*m) >= maxHours {
		*m = modelNames{}
	}
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT model FROM requests_1h WHERE tenant = ? AND hour = ? LIMIT ?", at.tenant, at.hour, maxModels+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err has it
	names := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names[name] = true
	}
	(*m)[at] = names
	return names, rows.Err()
}

// name gives the name that a model is counted under.
func (m *modelNames) name(ctx context.Context, tx *sql.Tx, at tenantHour, model string) (string, error) {
	names, err := m.of(ctx, tx, at)
	switch {
	case err != nil:
		return "", err
	case names[model] || model == otherModels:
		return model, nil
	case len(names) >= maxModels:
		return otherModels, nil
	}
	names[model] = true
	return model, nil
}
