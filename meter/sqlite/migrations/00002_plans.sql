-- +goose Up
-- Each form of a question has an index that begins with what it is asked by: a
-- tenant and a time, or a time alone. Late memory events are found by when they
-- were taken.
DROP INDEX requests_by_time;
CREATE INDEX requests_by_time ON requests (at);
CREATE INDEX requests_by_tenant ON requests (tenant, at);
DROP INDEX unseals_by_time;
CREATE INDEX unseals_by_time ON unseals (at);
CREATE INDEX unseals_by_tenant ON unseals (tenant, at);
CREATE INDEX memory_events_by_at ON memory_events (at);
CREATE INDEX memory_events_by_taken ON memory_events (tenant, taken_at, at);
