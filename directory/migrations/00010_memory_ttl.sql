-- +goose Up
-- How long what a token's calls have captured is kept, in seconds; 0 where the token
-- does not say, -1 for ever.
ALTER TABLE tokens ADD COLUMN memory_ttl INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE tokens DROP COLUMN memory_ttl;
