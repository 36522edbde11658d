-- +goose Up
-- How many memory events each tenant has, so that an invoice can see that none is
-- missing without reading them.
CREATE TABLE memory_counts (
    tenant TEXT PRIMARY KEY,
    events INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO memory_counts SELECT tenant, COUNT(*) FROM memory_events GROUP BY tenant;
-- +goose StatementBegin
CREATE TRIGGER memory_events_counted AFTER INSERT ON memory_events
BEGIN
    INSERT INTO memory_counts VALUES (NEW.tenant, 1) ON CONFLICT DO UPDATE SET events = events + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER memory_events_missed AFTER DELETE ON memory_events
BEGIN
    UPDATE memory_counts SET events = events - 1 WHERE tenant = OLD.tenant;
END;
-- +goose StatementEnd
