-- +goose Up
-- What a store belongs to. The main database makes it up, once; others get it.
CREATE TABLE installation (id TEXT NOT NULL) STRICT;

-- In the main database: what it was seen with, and the mark that it knew it by.
CREATE TABLE stores (
    name  TEXT PRIMARY KEY,
    mark  TEXT NOT NULL,
    since INTEGER NOT NULL -- Unix seconds, UTC
) STRICT;
