-- +goose Up
-- Pages of a bucket are found by the index alone.
DROP INDEX memories_by_bucket;
CREATE INDEX memories_by_bucket ON memories (bucket_id, seq, expires_at);

-- +goose Down
DROP INDEX memories_by_bucket;
CREATE INDEX memories_by_bucket ON memories (bucket_id, seq);
