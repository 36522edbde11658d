-- +goose Up
-- Each row says which keyring sealed it, so that rows can move to another one.
ALTER TABLE credentials ADD COLUMN keyring TEXT NOT NULL DEFAULT 'local';

-- What a credential was before its last replacement, to go back to.
CREATE TABLE replaced_credentials (
    credential_id TEXT PRIMARY KEY,
    base_url      TEXT NOT NULL,
    host          TEXT NOT NULL,
    organization  TEXT NOT NULL,
    project       TEXT NOT NULL,
    sealed        TEXT NOT NULL, -- ciphertext only
    fingerprint   TEXT NOT NULL,
    key_version   INTEGER NOT NULL,
    keyring       TEXT NOT NULL,
    replaced_at   INTEGER NOT NULL
) STRICT;

-- A deleted tenant whose key is to be destroyed: 1 until that is done, then 2.
ALTER TABLE tenants ADD COLUMN shred INTEGER NOT NULL DEFAULT 0;

-- Walks over the sealed rows. One runs at a time, in the process that beats.
CREATE TABLE rewraps (
    id           INTEGER PRIMARY KEY,
    tenant_id    TEXT NOT NULL, -- empty for all tenants
    state        TEXT NOT NULL, -- rewrapping, settling, retiring, done
    runner       TEXT NOT NULL DEFAULT '',
    beat_at      INTEGER NOT NULL DEFAULT 0,
    tenants      INTEGER NOT NULL DEFAULT 0,
    tenants_done INTEGER NOT NULL DEFAULT 0,
    rows_done    INTEGER NOT NULL DEFAULT 0,
    rows_failed  INTEGER NOT NULL DEFAULT 0,
    trouble      TEXT NOT NULL DEFAULT '', -- why it does not go on, in words of ours
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
