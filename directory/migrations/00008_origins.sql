-- +goose Up
-- Where a token's calls may come from, as a JSON list of IP ranges; [] is
-- anywhere.
ALTER TABLE tokens ADD COLUMN allow_from TEXT NOT NULL DEFAULT '[]';
