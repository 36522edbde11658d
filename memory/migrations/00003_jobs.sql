-- +goose Up
-- A job knows the token that caused it, which pays for it from its budget; empty
-- for what the tenant caused. One that was given up keeps its row, with not_before
-- at the end of time and the model that could not do it.
ALTER TABLE jobs ADD COLUMN token TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN model TEXT NOT NULL DEFAULT '';
DROP INDEX jobs_by_tenant;
CREATE INDEX jobs_due ON jobs (not_before, tenant, kind, token);
CREATE INDEX jobs_by_token ON jobs (tenant, kind, token, not_before, seq);

-- +goose Down
DROP INDEX jobs_by_token;
DROP INDEX jobs_due;
CREATE INDEX jobs_by_tenant ON jobs (tenant, kind, not_before);
DELETE FROM jobs WHERE model <> '';
ALTER TABLE jobs DROP COLUMN model;
ALTER TABLE jobs DROP COLUMN token;
