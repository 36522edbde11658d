-- +goose Up
-- What is known at the end of each closed month, so that later ones are computed
-- without reading its events again. All rows of a tenant hold as of the watermark
-- of its last closed month. They follow from the events: a row that is missing is
-- computed again.
CREATE TABLE invoice_states (
    tenant_id TEXT NOT NULL,
    month     TEXT NOT NULL, -- YYYY-MM
    state     BLOB NOT NULL, -- JSON
    PRIMARY KEY (tenant_id, month)
) STRICT, WITHOUT ROWID;
