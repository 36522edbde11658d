-- +goose Up
-- When a tenant was suspended by an operator; 0 for one that is not.
ALTER TABLE tenants ADD COLUMN suspended_at INTEGER NOT NULL DEFAULT 0;
