-- +goose Up
-- Every row carries the revision of its last change, from one counter. A
-- replica asks for what is newer than it has. Deleted rows stay for a while, so
-- that the deletion travels the same way.
CREATE TABLE counter (revision INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);

CREATE TABLE tenants (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    default_provider TEXT NOT NULL,
    routes           TEXT NOT NULL, -- JSON: [{"model","provider"}]
    created_at       INTEGER NOT NULL, -- all times: Unix seconds, UTC; 0 is never
    deleted_at       INTEGER NOT NULL DEFAULT 0,
    revision         INTEGER NOT NULL
) STRICT;
CREATE INDEX tenants_revision ON tenants (revision);

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    label      TEXT NOT NULL,
    digest     BLOB NOT NULL, -- SHA-256 of the token; the token itself is nowhere
    scopes     TEXT NOT NULL, -- JSON arrays
    models     TEXT NOT NULL,
    memory     TEXT NOT NULL,
    bucket     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0,
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_revision ON tokens (revision);
CREATE INDEX tokens_tenant ON tokens (tenant_id);

CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL,
    provider     TEXT NOT NULL,
    label        TEXT NOT NULL,
    base_url     TEXT NOT NULL,
    host         TEXT NOT NULL,
    organization TEXT NOT NULL,
    project      TEXT NOT NULL,
    sealed       TEXT NOT NULL, -- ciphertext only
    fingerprint  TEXT NOT NULL,
    key_version  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER NOT NULL DEFAULT 0,
    revision     INTEGER NOT NULL -- also the generation that caches compare
) STRICT;
CREATE UNIQUE INDEX credentials_name ON credentials (tenant_id, provider, label) WHERE deleted_at = 0;
CREATE INDEX credentials_revision ON credentials (revision);
