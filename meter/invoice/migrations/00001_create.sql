-- +goose Up
-- Closed invoices: every form of a document as it was when its month was
-- closed. Rows are added and never changed.
CREATE TABLE invoices (
    tenant_id TEXT NOT NULL,
    month     TEXT NOT NULL, -- YYYY-MM
    closed_at INTEGER NOT NULL, -- Unix microseconds, UTC
    json      BLOB NOT NULL,
    text      BLOB NOT NULL,
    csv       BLOB NOT NULL,
    html      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, month)
) STRICT, WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER invoices_stay BEFORE UPDATE ON invoices
BEGIN
    SELECT RAISE(ABORT, 'a closed invoice does not change');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER invoices_remain BEFORE DELETE ON invoices
BEGIN
    SELECT RAISE(ABORT, 'a closed invoice is kept');
END;
-- +goose StatementEnd
