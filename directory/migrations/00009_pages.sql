-- +goose Up
-- A page of a tenant's tokens is read from where it begins.
CREATE INDEX tokens_of_tenant ON tokens (tenant_id, created_at, id);
DROP INDEX tokens_tenant;
