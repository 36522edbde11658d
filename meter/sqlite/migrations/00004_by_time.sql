-- +goose Up
-- Rows lie in the order of time, so that only the questions of a tenant need an
-- index beside them: each B-tree more costs a twentieth of a request's time. A
-- row that comes twice has the same time and is still passed over.
CREATE TABLE requests_by_at (
    at INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    row BLOB NOT NULL,
    PRIMARY KEY (at, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO requests_by_at SELECT at, event_id, tenant, row FROM requests ORDER BY at, event_id;
DROP TABLE requests;
ALTER TABLE requests_by_at RENAME TO requests;
CREATE INDEX requests_by_tenant ON requests (tenant, at);

CREATE TABLE unseals_by_at (
    at INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    row BLOB NOT NULL,
    PRIMARY KEY (at, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO unseals_by_at SELECT at, event_id, tenant, row FROM unseals ORDER BY at, event_id;
DROP TABLE unseals;
ALTER TABLE unseals_by_at RENAME TO unseals;
CREATE INDEX unseals_by_tenant ON unseals (tenant, at);
