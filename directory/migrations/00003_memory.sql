-- +goose Up
-- What a tenant has chosen for its memory, as a JSON object.
ALTER TABLE tenants ADD COLUMN memory TEXT NOT NULL DEFAULT '{}';
