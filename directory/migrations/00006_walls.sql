-- +goose Up
-- What a token may use besides its models: paths whose model is not read, labels
-- of credentials, and buckets. Buckets of tokens that were made before are
-- empty: these keep every bucket until somebody confines them.
ALTER TABLE tokens ADD COLUMN endpoints TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tokens ADD COLUMN credentials TEXT NOT NULL DEFAULT '["*"]';
ALTER TABLE tokens ADD COLUMN buckets TEXT NOT NULL DEFAULT ''; -- JSON: {"read","write"}

-- An empty list meant all. It is written as that now, so that no list can widen
-- by losing its last entry.
UPDATE tokens SET scopes = '["*"]' WHERE scopes = '[]';
UPDATE tokens SET models = '["*"]' WHERE models = '[]';
