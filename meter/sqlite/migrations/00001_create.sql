-- +goose Up
-- Times are microseconds since 1970, UTC; ids are 16 bytes.
-- row is a request or an unseal as the ledger holds it: `ownkey records` prints
-- it. Forty columns would cost four times as much to write.
CREATE TABLE requests (
    event_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    row BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (at, tenant);

CREATE TABLE unseals (
    event_id BLOB PRIMARY KEY,
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    row BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unseals_by_time ON unseals (at, tenant);

-- The billing book: kept for good.
CREATE TABLE memory_events (
    event_id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    token TEXT NOT NULL,
    bucket TEXT NOT NULL,
    request_id BLOB NOT NULL,
    op TEXT NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_events_by_time ON memory_events (tenant, at, event_id);

-- Sums of requests by hour, kept when the requests are gone. model is the one
-- served, or the one asked for where none was.
CREATE TABLE requests_1h (
    tenant TEXT NOT NULL,
    hour INTEGER NOT NULL, -- seconds since 1970
    token TEXT NOT NULL,
    credential TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    streamed INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    unknown_usage INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    memory_hits INTEGER NOT NULL,
    memory_recalled INTEGER NOT NULL,
    whole_streams INTEGER NOT NULL,
    whole_events INTEGER NOT NULL,
    whole_output_tokens INTEGER NOT NULL,
    cut_streams INTEGER NOT NULL,
    cut_events INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, token, credential, provider, model)
) STRICT, WITHOUT ROWID;

-- How many requests took how long: bucket b holds durations of up to 1.05^b
-- microseconds that are above 1.05^(b-1).
CREATE TABLE latency_1h (
    tenant TEXT NOT NULL,
    hour INTEGER NOT NULL,
    token TEXT NOT NULL,
    credential TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL, -- total, first_byte
    bucket INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, token, credential, provider, model, kind, bucket)
) STRICT, WITHOUT ROWID;

-- How far a gateway's ledger was taken. It changes in the transaction that
-- takes the rows.
CREATE TABLE checkpoints (
    gateway BLOB PRIMARY KEY,
    checkpoint TEXT NOT NULL
) STRICT, WITHOUT ROWID;
