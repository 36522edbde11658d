-- +goose Up
-- What tokens, and tenants as a whole, may use, as JSON objects; and tokens
-- that were stopped until somebody resumes them.
ALTER TABLE tenants ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tokens ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tokens ADD COLUMN stopped_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN stop_reason TEXT NOT NULL DEFAULT '';
