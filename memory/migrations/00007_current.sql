-- +goose Up
-- What nothing has superseded is what a new memory may be a copy of, however many
-- superseded ones say the same.
DROP INDEX memories_by_hash;
DROP INDEX memories_by_shape;
CREATE INDEX memories_by_hash ON memories (bucket_id, hash) WHERE superseded_by = '';
CREATE INDEX memories_by_shape ON memories (bucket_id, shape) WHERE superseded_by = '';

-- +goose Down
DROP INDEX memories_by_hash;
DROP INDEX memories_by_shape;
CREATE INDEX memories_by_hash ON memories (bucket_id, hash);
CREATE INDEX memories_by_shape ON memories (bucket_id, shape);
