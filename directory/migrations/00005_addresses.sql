-- +goose Up
-- What a secret is bound to: scheme://host:port/base-path, and the name of the
-- key in Vault. Empty in rows from before: host:port alone, and ownkey-<tenant>.
ALTER TABLE credentials ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE credentials ADD COLUMN key_name TEXT NOT NULL DEFAULT '';
ALTER TABLE replaced_credentials ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE replaced_credentials ADD COLUMN key_name TEXT NOT NULL DEFAULT '';

-- 1 for tenants whose secrets were, or may have been, sealed by ownkey-<tenant>:
-- all of an installation that has a Vault by now.
ALTER TABLE tenants ADD COLUMN unnamed_key INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET unnamed_key = 1 WHERE EXISTS (SELECT 1 FROM credentials WHERE keyring <> 'local');

-- Tokens made from a seed are kept when they have ended, since the same one
-- could be made again: those of ownkey dev.
ALTER TABLE tokens ADD COLUMN seeded INTEGER NOT NULL DEFAULT 0;
UPDATE tokens SET seeded = 1 WHERE tenant_id = 'dev' AND label = 'dev';
