-- +goose Up

-- A bucket belongs to one tenant. Its profile is a summary that the tenant's
-- own model has written.
CREATE TABLE buckets (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    profile TEXT,
    profile_at INTEGER NOT NULL DEFAULT 0,
    profile_memories INTEGER NOT NULL DEFAULT 0,
    profile_source TEXT NOT NULL DEFAULT '',
    UNIQUE (tenant, name)
) STRICT;

-- Times are microseconds since 1970, 0 for none. seq is the order of arrival.
CREATE TABLE memories (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    bucket_id TEXT NOT NULL REFERENCES buckets (id),
    content TEXT NOT NULL,
    hash BLOB NOT NULL, -- of the normalized content
    shape BLOB NOT NULL, -- of its terms, whatever their order
    origin BLOB, -- what it was made from, for a writer that may come twice
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    session TEXT NOT NULL,
    facts TEXT NOT NULL,
    metadata TEXT NOT NULL,
    pinned INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    supersedes TEXT NOT NULL,
    superseded_by TEXT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

CREATE INDEX memories_by_bucket ON memories (bucket_id, seq);
CREATE INDEX memories_by_hash ON memories (bucket_id, hash);
CREATE INDEX memories_by_shape ON memories (bucket_id, shape);
CREATE UNIQUE INDEX memories_by_origin ON memories (bucket_id, origin) WHERE origin IS NOT NULL;
CREATE INDEX memories_by_expiry ON memories (expires_at) WHERE expires_at > 0;

-- What a memory said before it was changed.
CREATE TABLE versions (
    seq INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    content TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (seq, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE vectors (
    seq INTEGER PRIMARY KEY REFERENCES memories (seq) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL -- float32, little endian, of length 1
) STRICT;

-- What the tenant's models still have to do.
CREATE TABLE jobs (
    kind INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    PRIMARY KEY (kind, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_tenant ON jobs (tenant, kind, not_before);

-- Answers to writes that came with an Idempotency-Key.
CREATE TABLE answers (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

-- Events that the meter does not have yet.
CREATE TABLE events (
    event_id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    token TEXT NOT NULL,
    bucket_id TEXT NOT NULL,
    request_id BLOB NOT NULL,
    op INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE secrets;
DROP TABLE events;
DROP TABLE answers;
DROP TABLE jobs;
DROP TABLE vectors;
DROP TABLE versions;
DROP TABLE memories;
DROP TABLE buckets;
