-- +goose Up
-- The jobs of a memory that is deleted.
CREATE INDEX jobs_by_memory ON jobs (seq);

-- +goose Down
DROP INDEX jobs_by_memory;
