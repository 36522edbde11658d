-- +goose Up
-- Work that a provider goes on with after its call has ended, and that is not
-- counted yet. A row is gone once it is.
CREATE TABLE deferred_work (
	tenant TEXT NOT NULL,
	provider TEXT NOT NULL,
	id TEXT NOT NULL, -- the provider's, of the response or batch
	counted INTEGER NOT NULL, -- tokens that the call which began it has counted
	started_at INTEGER NOT NULL, -- seconds since 1970
	PRIMARY KEY (tenant, provider, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deferred_work_by_time ON deferred_work (started_at);
CREATE INDEX deferred_work_by_tenant ON deferred_work (tenant, started_at);

-- +goose Down
DROP TABLE deferred_work;
