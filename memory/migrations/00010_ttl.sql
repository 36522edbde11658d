-- +goose Up
-- How long what is captured into a bucket is kept, in seconds; 0 where the bucket does
-- not say, -1 for ever.
ALTER TABLE buckets ADD COLUMN memory_ttl INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE buckets DROP COLUMN memory_ttl;
