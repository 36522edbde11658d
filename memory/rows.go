package memory

import (
	"database/sql"
	"encoding/json"
	"errors"
)

// selectMemories reads whole memories, with the name of their bucket.
const selectMemories = `SELECT m.seq, m.tenant, m.id, m.bucket_id, b.name, m.content, m.hash, m.role, m.speaker, m.session, m.facts, m.metadata,
	m.pinned, m.created_at, m.observed_at, m.valid_from, m.valid_to, m.expires_at, m.supersedes, m.superseded_by, m.version, m.context
	FROM memories m JOIN buckets b ON b.id = m.bucket_id AND b.tenant = m.tenant`

// errForeign is a row of another tenant. No statement asks for one: seeing it
// means that the file was changed by somebody else, or that we have a bug.
var errForeign = errors.New("BUG: a row of another tenant")

// eachMemory reads the rows of selectMemories and closes them. Each must be the
// tenant's.
func eachMemory(rows *sql.Rows, tenant string, each func(m *Memory) error) error {
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var m Memory
		if err := scanMemory(rows, &m); err != nil {
			return err
		}
		if m.tenant != tenant {
			return errForeign
		}
		m.tenant = tenant // the same for all: it is held once
		if err := each(&m); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanMemory(rows *sql.Rows, m *Memory) error {
	var facts, metadata string
	var created, observed, from, to, expires int64
	err := rows.Scan(&m.seq, &m.tenant, &m.ID, &m.bucketID, &m.Bucket, &m.Content, &m.hash, &m.Role, &m.Speaker, &m.Session, &facts, &metadata,
		&m.Pinned, &created, &observed, &from, &to, &expires, &m.Supersedes, &m.SupersededBy, &m.Version, &m.Context)
	if err != nil {
		return err
	}
	if facts != "" {
		if err := json.Unmarshal([]byte(facts), &m.Facts); err != nil {
			return err
		}
	}
	if metadata != "" {
		m.Metadata = json.RawMessage(metadata)
	}
	m.CreatedAt, m.ObservedAt, m.ValidFrom, m.ValidTo, m.ExpiresAt = timeOf(created), timeOf(observed), timeOf(from), timeOf(to), timeOf(expires)
	return nil
}

func factsText(facts []string) (string, error) {
	if len(facts) == 0 {
		return "", nil
	}
	b, err := json.Marshal(facts)
	return string(b), err
}
