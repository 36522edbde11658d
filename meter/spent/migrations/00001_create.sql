-- +goose Up
CREATE TABLE spent (
	tenant TEXT NOT NULL,
	token TEXT NOT NULL,
	day INTEGER NOT NULL, -- since 1970, in UTC
	tokens INTEGER NOT NULL,
	PRIMARY KEY (day, tenant, token)
) WITHOUT ROWID;
-- The requests of the last batch: it comes again if the sink behind has not
-- taken it.
CREATE TABLE spent_last (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	events BLOB NOT NULL
);
INSERT INTO spent_last (one, events) VALUES (1, x'');
